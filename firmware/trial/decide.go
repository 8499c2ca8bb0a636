package trial

import (
	"fmt"
	"time"
)

// Boot is what a system knows of the boot that made it.
type Boot struct {
	Running Slot   // None: not from a slot
	Version string // of the running system
	// Started is what the loader remembers of the trial: see Evidence.
	Started Evidence
	// Failed is a slot that the loader could not start before it started this one,
	// and Why in words; None: no such thing is known.
	Failed Slot
	Why    string
}

// Evidence says whether the loader has begun to start the slot of this trial.
type Evidence uint8

// Evidences.
const (
	Unknown Evidence = iota // the variables cannot be read
	Begun                   // it has
	NotBegun
)

// Action is what a system does after its boot.
type Action uint8

// Actions.
const (
	Serve Action = iota // as on every day
	Prove               // serve, watched by the gate: then Commit, or RollBack and restart
)

// Decision is what to do at a boot.
type Decision struct {
	Do Action
	// Prefer is the slot that the boot order should begin with; None: leave it.
	Prefer Slot
	// MayGoBack is false if going back has failed before: a node that proves no
	// good then stays as it is, since the other slot starts nothing.
	MayGoBack bool
	Say       string // for people; empty: nothing to say
}

// MaxBoots is how often a trial may reach user space without a decision. More than
// once happens if power fails within Commit, or if the committed slot does not
// start any more.
const MaxBoots = 3

// Decide is asked once at every boot, not at every start of the program that asks.
// r is what Load gave, found whether it gave one. It returns the record as it
// should be saved now, if it differs.
func Decide(r Record, found bool, boot Boot, now time.Time) (Record, Decision) {
	if !boot.Running.valid() {
		return r, Decision{}
	}
	if !found || !r.Committed.valid() {
		return adopt(boot, now)
	}
	if boot.Version != "" {
		r.Image(boot.Running).Version = cut(boot.Version, MaxVersion)
	}
	switch {
	case r.State == Writing && r.Trial == boot.Running:
		return r, Decision{Say: fmt.Sprintf("slot %v runs, but the record says that it is half written: look at the boot order", boot.Running)}
	case r.State == Writing:
		say := fmt.Sprintf("writing version %s into slot %v was interrupted", r.Image(r.Trial).Version, r.Trial)
		r, _ = r.Abandon(say, now)
		return r, Decision{Prefer: r.Committed, Say: say}
	case r.State == Tried && r.Trial == boot.Running:
		return prove(r, now)
	case r.State == Tried:
		r, _ = r.RollBack(failure(r, boot), now)
		return r, Decision{Prefer: r.Committed, Say: r.Reason}
	case boot.Running != r.Committed:
		return r, Decision{Prefer: r.Committed, Say: fellBack(r, boot)}
	}
	return r, Decision{Prefer: r.Committed}
}

// adopt makes a record where there is none: a new disk, or both copies are lost.
func adopt(boot Boot, now time.Time) (Record, Decision) {
	r := Record{Committed: boot.Running, Changed: now}
	*r.Image(boot.Running) = Image{Status: Good, Version: cut(boot.Version, MaxVersion)}
	return r, Decision{Prefer: boot.Running, Say: fmt.Sprintf("there was no record of upgrades: slot %v is committed from now on", boot.Running)}
}

// prove counts the boot of a trial.
func prove(r Record, now time.Time) (Record, Decision) {
	r.Boots = min(r.Boots, 254) + 1
	r.Changed = now
	d := Decision{Do: Prove, Prefer: r.Committed, MayGoBack: r.Boots <= MaxBoots}
	d.Say = fmt.Sprintf("version %s in slot %v is on trial", r.Image(r.Trial).Version, r.Trial)
	if !d.MayGoBack {
		d.Say += fmt.Sprintf(", for the %d. time: slot %v does not start", r.Boots, r.Committed)
	}
	return r, d
}

// failure says why a trial failed, as far as can be told from the committed slot.
func failure(r Record, boot Boot) string {
	what := fmt.Sprintf("version %s in slot %v", r.Image(r.Trial).Version, r.Trial)
	switch {
	case r.Boots > 0:
		return what + " started, and the machine was reset before its health was decided"
	case boot.Failed == r.Trial:
		return what + " could not be started: " + boot.Why
	case boot.Started == Begun:
		return what + " was started and not heard of again: its kernel or its init stopped, it hung and was reset, or it cannot run updated"
	case boot.Started == NotBegun:
		return what + " was not started: the firmware has lost or ignored the boot variables"
	}
	return what + " did not come up"
}

func fellBack(r Record, boot Boot) string {
	say := fmt.Sprintf("slot %v runs, though slot %v is committed", boot.Running, r.Committed)
	if boot.Failed == r.Committed {
		return say + ", which could not be started: " + boot.Why
	}
	return say
}

// Handout is the decision of a server about a machine that asks for what to boot:
// the slot, and the record to be saved before it is given. A trial is given out
// once: a machine that asks again has failed it.
func (r Record) Handout(now time.Time) (Slot, Record) {
	if r.State != Tried {
		return r.Committed, r
	}
	if r.Boots == 0 {
		r.Boots, r.Changed = 1, now
		return r.Trial, r
	}
	r, _ = r.RollBack(fmt.Sprintf("version %s was started, and the machine was reset before its health was decided", r.Image(r.Trial).Version), now)
	return r.Committed, r
}
