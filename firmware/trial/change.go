package trial

import (
	"errors"
	"fmt"
	"time"
)

// ErrState means that a change does not fit to how far the upgrade is.
var ErrState = errors.New("not now")

func (r Record) refuse(format string, args ...any) (Record, error) {
	return r, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrState)
}

// Begin starts an upgrade: the slot beside the running one, which becomes
// r.Trial, is about to be written. The running one becomes the committed one: what
// was committed and does not run is no place to go back to.
func (r Record) Begin(running Slot, version string, now time.Time) (Record, error) {
	switch {
	case !running.valid():
		return r.refuse("it is not known which slot runs")
	case r.State == Tried:
		return r.refuse("version %s in slot %v is on trial: wait for its end, or roll it back", r.Image(r.Trial).Version, r.Trial)
	case version == "" || len(version) > MaxVersion:
		return r, fmt.Errorf("version %.40q: want 1 to %d bytes", version, MaxVersion)
	}
	r.State, r.Committed, r.Trial = Writing, running, running.Other()
	r.Boots, r.Tries, r.Nonce, r.Reason, r.Changed = 0, 0, 0, "", now
	*r.Image(r.Trial) = Image{Status: Incomplete, Version: version}
	return r, nil
}

// Wrote ends the writing: the slot is whole and was read back.
func (r Record) Wrote(sum [32]byte, now time.Time) (Record, error) {
	if r.State != Writing {
		return r.refuse("no slot is being written (%v)", r.State)
	}
	r.State, r.Changed = Written, now
	r.Image(r.Trial).Status, r.Image(r.Trial).SHA256 = Untried, sum
	return r, nil
}

// Abandon gives up what is being written. The slot holds nothing that could start.
func (r Record) Abandon(reason string, now time.Time) (Record, error) {
	if r.State != Writing {
		return r.refuse("no slot is being written (%v)", r.State)
	}
	*r.Image(r.Trial) = Image{}
	r.State, r.Reason, r.Changed = Idle, reason, now
	return r, nil
}

// Arm makes the slot beside the committed one the next boot's. Nonce names this
// trial; it is random and not zero. A slot that was good before, or failed before,
// can be tried too: that is how an operator goes back to the version of before, or
// tries again.
func (r Record) Arm(nonce uint64, watchdog time.Duration, now time.Time) (Record, error) {
	other := r.Committed.Other()
	switch {
	case other == None:
		return r.refuse("no slot is committed")
	case nonce == 0:
		return r, errors.New("a trial without a nonce")
	case r.State == Tried:
		return r.refuse("slot %v is on trial already", other)
	case r.Image(other).Status < Untried:
		return r.refuse("slot %v is %v", other, r.Image(other).Status)
	}
	r.State, r.Trial, r.Boots, r.Nonce, r.Watchdog, r.Reason, r.Changed = Tried, other, 0, nonce, watchdog, "", now
	r.Tries = min(r.Tries, 254) + 1
	return r, nil
}

// Commit makes the slot on trial the one that every boot starts.
func (r Record) Commit(now time.Time) (Record, error) {
	if r.State != Tried {
		return r.refuse("no slot is on trial (%v)", r.State)
	}
	r.State, r.Committed, r.Changed = Committed, r.Trial, now
	r.Image(r.Trial).Status = Good
	return r, nil
}

// Disarm takes an order back that no boot has followed yet.
func (r Record) Disarm(now time.Time) (Record, error) {
	if r.State != Tried || r.Boots > 0 {
		return r.refuse("no trial is ahead (%v)", r.State)
	}
	r.State, r.Changed = Written, now
	return r, nil
}

// RollBack ends a trial, with the reason that people will read.
func (r Record) RollBack(reason string, now time.Time) (Record, error) {
	if r.State != Tried {
		return r.refuse("no slot is on trial (%v)", r.State)
	}
	r.State, r.Reason, r.Changed = RolledBack, reason, now
	r.Image(r.Trial).Status = Bad
	return r, nil
}
