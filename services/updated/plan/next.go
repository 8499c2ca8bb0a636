// Package plan decides what updated does next, and what of a node's status the
// health gate sees. It is pure.
package plan

import (
	"time"

	"weir/firmware/gate"
	"weir/firmware/trial"
)

// Step is what to do next.
type Step uint8

// Steps.
const (
	Rest    Step = iota // nothing, until something changes
	Watch               // look at the node for the gate
	Commit              // the version that runs is good
	GoBack              // it is not
	Again               // it is not, but cannot go back: the gate begins anew
	Restart             // the machine, into the other slot
	Work                // at the job
	Try                 // what the job has installed
	Look                // at the repository
	Tell                // the boot server the verdict
)

func (s Step) String() string {
	return [...]string{"rest", "watch", "commit", "go back", "again", "restart", "work", "try", "look", "tell"}[s]
}

// Facts are all that the next step depends on.
type Facts struct {
	Record  trial.Record
	Running trial.Slot // None: this node has no slots
	// Proving: this boot was found to be a trial, and MayGoBack whether there is
	// something to go back to.
	Proving, MayGoBack bool
	Verdict            gate.Decision
	// Served: a boot server has given this version to the machine, which keeps none
	// itself, and Told whether the server knows the verdict.
	Served, Told bool

	Job      bool // there is one, and its time has come
	TryAfter bool // what was installed by a job that asked for a trial
	Paused   bool
	LookDue  bool
}

// Next is the step. A trial goes before everything else: nothing is installed
// until it has ended, and pausing does not keep a sick version running.
func Next(f Facts) Step {
	r := &f.Record
	switch {
	case f.Running == trial.None && f.Served && !f.Told:
		return tell(f.Verdict)
	case f.Running == trial.None:
		return Rest
	case r.State == trial.Tried && r.Trial != f.Running:
		return Restart // ordered in this boot: one of a boot before was ended by trial.Decide
	case f.Proving && r.State == trial.RolledBack:
		return Restart // decided, but the machine has not ended yet
	case f.Proving && r.State == trial.Tried:
		return prove(f)
	case f.Paused:
		return Rest
	case f.TryAfter:
		return Try
	case f.Job:
		return Work
	case f.LookDue:
		return Look
	}
	return Rest
}

func prove(f Facts) Step {
	switch {
	case f.Verdict == gate.Commit:
		return Commit
	case f.Verdict == gate.GoBack && f.MayGoBack:
		return GoBack
	case f.Verdict == gate.GoBack:
		return Again
	}
	return Watch
}

// tell: every boot over the network is watched, since only the server knows whether
// it was a trial.
func tell(v gate.Decision) Step {
	if v == gate.Wait {
		return Watch
	}
	return Tell
}

// Pause until the schedule's next look. random is from 0 to 1: nodes that lost
// power together come back together, and must not ask together. So the first look
// is anywhere in an interval, and later ones a tenth of it early or late.
func Pause(interval time.Duration, first bool, random float64) time.Duration {
	if first {
		return time.Duration(float64(interval) * random)
	}
	return time.Duration(float64(interval) * (0.9 + 0.2*random))
}

// Backoff is the pause after so many attempts in a row that failed.
func Backoff(failures int, random float64) time.Duration {
	const most = 5 * time.Minute
	pause := most
	if failures < 8 {
		pause = min(most, 5*time.Second<<max(failures-1, 0))
	}
	return time.Duration(float64(pause) * (0.5 + 0.5*random))
}
