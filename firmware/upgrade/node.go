// Package upgrade is a node with two slots on its disk, as the program sees it
// that upgrades it (S-104): record, slots and boot variables, changed in the order
// in which power may fail between any two changes.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/firmware/bootvars"
	"weir/firmware/kexec"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/init/slot"
)

// Node is one. It is for one user at a time.
type Node struct {
	disk   writer
	record trial.Medium
	close  func() error
	// vars is nil on a machine without boot variables: noVars tells why.
	vars   *bootvars.Variables
	noVars error
	places bootvars.Places

	running trial.Slot
	byKexec bool // what the firmware says of its start is of another system's
	now     func() time.Time
	load    func(image string, sum [32]byte, words string) error
}

// temp is where Load unpacks an image: in memory.
const temp = "/tmp"

// writer is what slots.Disk can do.
type writer interface {
	Fits(size int64) error
	Write(ctx context.Context, s trial.Slot, i slots.Image) error
	Use(s trial.Slot, temp string, f func(path string) error) error
}

// Open finds the slots of the machine. The error is slots.ErrNotFromSlot on one
// that was booted over the network: there, its server decides.
func Open() (*Node, error) {
	d, err := slots.Find("")
	if err != nil {
		return nil, err
	}
	record, err := d.Record()
	if err != nil {
		return nil, err
	}
	n := &Node{disk: d, record: record, close: record.Close, running: d.Running, now: time.Now, byKexec: slot.ByKexec("") != "",
		load: func(image string, sum [32]byte, words string) error { return kexec.Load(image, sum, words, temp) }}
	n.places = bootvars.Places{Boot: place(d.Boot), A: place(d.A), B: place(d.B)}
	n.vars, n.noVars = bootvars.Open()
	if n.noVars == nil && !n.byKexec {
		err = n.compare()
	}
	if err != nil {
		record.Close()
		return nil, err
	}
	return n, nil
}

func place(p slots.Partition) bootvars.Partition {
	return bootvars.Partition{Number: p.Number, Start: p.Start / 512, Size: p.Size / 512, ID: p.ID}
}

// compare asks the firmware too which slot it started. A slot that gave up late
// in its start may have left its name where the running one should stand.
func (n *Node) compare() error {
	started, err := n.vars.Started(n.places)
	if err != nil {
		return err
	}
	if started != trial.None && started != n.running {
		return fmt.Errorf("the firmware says that it started slot %v, the boot stub says slot %v: reboot", started, n.running)
	}
	return nil
}

// Close ends the use of the disk.
func (n *Node) Close() error { return n.close() }

// Running is the slot that this boot came from.
func (n *Node) Running() trial.Slot { return n.running }

// Record is how upgrades stand. The error is trial.ErrNone before the first AtBoot.
func (n *Node) Record() (trial.Record, error) { return trial.Load(n.record) }

// Told is what the boot loader says of this boot; nil: it did not start it.
func (n *Node) Told() (*bootvars.Told, error) {
	if n.byKexec {
		return nil, nil
	}
	if n.vars == nil {
		return nil, n.noVars
	}
	return n.vars.Told()
}

// AtBoot decides what this boot is, saves that, and repairs the boot order. It must
// run once in a boot: a second run would take the trial for another one. An error
// of the boot variables does not hide the decision, which is valid with it.
func (n *Node) AtBoot(version string) (trial.Record, trial.Decision, error) {
	old, err := trial.Load(n.record)
	if err != nil && !errors.Is(err, trial.ErrNone) {
		return old, trial.Decision{}, err
	}
	boot := trial.Boot{Running: n.running, Version: version}
	told, failed := n.Told()
	if n.vars != nil {
		boot.Started = n.vars.Evidence(old.Nonce)
	}
	if told != nil {
		boot.Failed, boot.Why = told.Failed, told.Why
	}
	r, d := trial.Decide(old, err == nil, boot, n.now())
	if err != nil || r != old {
		if r, err = trial.Save(n.record, r); err != nil {
			return r, d, err
		}
	}
	if n.vars != nil {
		failed = errors.Join(failed, n.vars.Forget())
		if d.Prefer != trial.None {
			_, err := n.vars.Prefer(n.places, d.Prefer)
			failed = errors.Join(failed, err)
		}
	}
	return r, d, failed
}

// Install writes a version into the slot that does not run. An error says that
// nothing there can be started.
func (n *Node) Install(ctx context.Context, version string, i slots.Image) error {
	if err := n.disk.Fits(i.Size); err != nil {
		return err
	}
	r, err := n.change(func(r trial.Record) (trial.Record, error) { return r.Begin(n.running, version, n.now()) })
	if err != nil {
		return err
	}
	if err := n.disk.Write(ctx, r.Trial, i); err != nil {
		_, err2 := n.change(func(r trial.Record) (trial.Record, error) { return r.Abandon(err.Error(), n.now()) })
		return errors.Join(err, err2)
	}
	_, err = n.change(func(r trial.Record) (trial.Record, error) { return r.Wrote(i.SHA256, n.now()) })
	return err
}

// Try makes the next boot the trial of the other slot: the caller reboots. nonce is
// random; watchdog is the time in which the trial has to reach user space.
func (n *Node) Try(nonce uint64, watchdog time.Duration) error {
	if n.vars == nil {
		return fmt.Errorf("a version cannot be tried on this machine: %w", n.noVars)
	}
	r, err := n.change(func(r trial.Record) (trial.Record, error) {
		if r.Committed != n.running {
			return r, fmt.Errorf("slot %v is committed, but slot %v runs: %w", r.Committed, n.running, trial.ErrState)
		}
		return r.Arm(nonce, watchdog, n.now())
	})
	if err != nil {
		return err
	}
	if err := n.vars.TryNext(n.places, r.Trial); err != nil {
		return errors.Join(err, n.Cancel())
	}
	return nil
}

// Load takes the version that is to be tried into memory: the caller then restarts
// by kexec. An error leaves its start to the firmware, which Try has told. So has a
// version that does not come to user space in this way: what resets the machine has the
// firmware start it once more, watched.
func (n *Node) Load() error {
	r, err := n.Record()
	switch {
	case err != nil:
		return err
	case r.State != trial.Tried || r.Trial == n.running:
		return fmt.Errorf("restart by kexec: no trial is ahead (%v): %w", r.State, trial.ErrState)
	case n.vars == nil:
		return fmt.Errorf("restart by kexec: %w", n.noVars)
	}
	secure, err := n.vars.SecureBoot()
	if err == nil && secure {
		err = errors.New("Secure Boot is on, and only the firmware verifies all of an image")
	}
	if err == nil {
		err = n.disk.Use(r.Trial, temp, func(path string) error {
			return n.load(path, r.Image(r.Trial).SHA256, slot.KexecWord+"="+r.Trial.String())
		})
	}
	if err != nil {
		return fmt.Errorf("restart by kexec: %w", err)
	}
	return nil
}

// Cancel takes Try back.
func (n *Node) Cancel() error {
	var err error
	if n.vars != nil {
		err = n.vars.Forget()
	}
	_, err2 := n.change(func(r trial.Record) (trial.Record, error) { return r.Disarm(n.now()) })
	return errors.Join(err, err2)
}

// Commit ends a trial that has proved good. The boot order comes first: until the
// record follows, a boot of this slot is still the trial, and is proved again.
func (n *Node) Commit() error {
	if n.vars == nil {
		return fmt.Errorf("commit: %w", n.noVars)
	}
	if _, err := n.vars.Prefer(n.places, n.running); err != nil {
		return err
	}
	_, err := n.change(func(r trial.Record) (trial.Record, error) {
		if r.Trial != n.running {
			return r, fmt.Errorf("slot %v is on trial, but slot %v runs: %w", r.Trial, n.running, trial.ErrState)
		}
		return r.Commit(n.now())
	})
	return err
}

// RollBack ends a trial that has not: the caller reboots into the committed slot.
func (n *Node) RollBack(reason string) error {
	r, err := n.change(func(r trial.Record) (trial.Record, error) { return r.RollBack(reason, n.now()) })
	if err != nil || n.vars == nil {
		return err
	}
	_, err = n.vars.Prefer(n.places, r.Committed)
	return err
}

// change loads, changes and saves the record.
func (n *Node) change(f func(trial.Record) (trial.Record, error)) (trial.Record, error) {
	r, err := trial.Load(n.record)
	if err != nil {
		return r, err
	}
	if r, err = f(r); err != nil {
		return r, err
	}
	return trial.Save(n.record, r)
}
