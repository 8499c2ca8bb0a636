// Package trial is the memory and the judgement of upgrades (S-104): which slot is
// committed, which one is written or on trial, and, at every boot, whether this
// boot is the trial, whether the trial has failed, and what to do.
//
//	idle ──Begin──▶ writing ──Wrote──▶ written ──Arm──▶ tried ──Commit──▶ committed
//	                   │                                  │
//	                   └──Abandon──▶ idle                 └──RollBack──▶ rolled back
//
// All of it is pure. A node with a disk keeps the record outside of its slots
// (Load, Save), where the boot loader reads it too. For nodes that boot from the
// network the server keeps one per machine: its "slots" are the version that the
// machine has and the one that it is to try, and Handout takes the loader's place.
package trial

import (
	"fmt"
	"time"
)

// Slot is 'a', 'b' or 0: none, or not known.
type Slot byte

// The slots.
const (
	None Slot = 0
	A    Slot = 'a'
	B    Slot = 'b'
)

// Other is the slot beside it; of None, None.
func (s Slot) Other() Slot {
	switch s {
	case A:
		return B
	case B:
		return A
	}
	return None
}

func (s Slot) String() string {
	if !s.valid() {
		return "none"
	}
	return string(rune(s))
}

func (s Slot) valid() bool { return s == A || s == B }

// ParseSlot reads "a" or "b"; anything else is None.
func ParseSlot(text string) Slot {
	if len(text) == 1 && Slot(text[0]).valid() {
		return Slot(text[0])
	}
	return None
}

// State is how far an upgrade has come.
type State uint8

// States. The numbers are on disks, and efi/record.h of the loader has them too.
const (
	Idle       State = iota // nothing is under way
	Writing                 // the slot of the trial is being written: not bootable
	Written                 // it is whole and can be tried
	Tried                   // the next boot is its trial, or this one, or the last one failed
	Committed               // the last trial was good
	RolledBack              // the last trial was not, see Reason
)

var stateNames = [...]string{"idle", "writing", "written", "tried", "committed", "rolled back"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Status is what is known of a slot's content.
type Status uint8

// Statuses. The numbers are on disks.
const (
	Empty      Status = iota // nothing, or not known
	Incomplete               // being written
	Untried                  // whole
	Good                     // was committed once
	Bad                      // its last trial failed
)

var statusNames = [...]string{"empty", "incomplete", "untried", "good", "bad"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Image is what a slot holds.
type Image struct {
	Status  Status
	Version string   // at most MaxVersion bytes
	SHA256  [32]byte // of the unified image; zeros: not known
}

// MaxVersion is the longest version that a record can hold, in bytes.
const MaxVersion = 31

// Record is all of it.
type Record struct {
	State     State
	Committed Slot
	Trial     Slot // of the upgrade that is under way, or of the last one
	// Boots counts the boots of this trial that reached user space, Tries how often
	// the image has been tried since it was written.
	Boots, Tries uint8
	// Watchdog is how long a trial may take to reach user space before the loader's
	// timer resets the machine. Zero: no timer.
	Watchdog time.Duration
	// Nonce names a trial. The loader starts none twice.
	Nonce uint64
	// Sequence counts the changes; Save sets it.
	Sequence uint64
	Changed  time.Time
	Slots    [2]Image // a and b
	// Reason is why the last upgrade came to what it came, for people.
	Reason string
}

// Image is that of a slot, which is not None.
func (r *Record) Image(s Slot) *Image { return &r.Slots[s-A] }
