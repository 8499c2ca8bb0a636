package rollout

import (
	"slices"
	"time"

	"weir/services/api"
)

// Fact is what is known of a node of the cluster file.
type Fact struct {
	ID     string
	Domain string // of failure; empty: one of its own
	// Silent is why the node does not answer; empty: it does.
	Silent    string
	SilentFor time.Duration
	Version   string        // that runs
	Up        time.Duration // since the kernel started; 0: not known
	Leaving   bool          // it was told to leave, and may have done so
	Drained   bool          // nothing depends on it any more
	// Unwell is why it is not in full service (announced by its neighbours, with
	// complete state, S-64); empty: it is.
	Unwell    string
	UnwellFor time.Duration
	// Update is what updated says, nil while it does not answer: UpdateSilent is why.
	Update       *api.UpdateStatus
	UpdateSilent string
	// What became of the calls that were made since the phase began, as far as
	// their answers were heard.
	Taken   bool   // the last of Install, Try and RollBack was done
	Refused string // why it was not
	// StuckFor is for how long an installation has waited for something that may
	// never come, such as its repository.
	StuckFor time.Duration
}

// Act is something to do at a node. All of them may be done twice.
type Act string

// Acts.
const (
	Install  Act = "install"
	Drain    Act = "drain" // until the restart
	Undrain  Act = "undrain"
	Try      Act = "try"
	RollBack Act = "roll back"
)

// Action is an act at a node.
type Action struct {
	Node    string
	Act     Act
	Version string // to install
	Reason  string // of a RollBack, for people
}

// Limits of patience.
const (
	silentLimit  = 20 * time.Minute // firmware of servers is slow, and a trial may have to fail first
	stuckLimit   = 10 * time.Minute
	drainLimit   = 10 * time.Minute
	restartLimit = 10 * time.Minute // of a node that answers
	unwellLimit  = 10 * time.Minute
)

// proving reports whether the version that runs is on trial.
func (f *Fact) proving() bool { return f.Update.GetTrial() != nil }

// armed reports whether the next boot is a trial, or this one.
func (f *Fact) armed() bool { return f.proving() || f.Update.GetState() == "tried" }

// Begins reports whether updated does not know its slots yet.
func (f *Fact) Begins() bool { return f.Update.GetError() == "" && len(f.Update.GetSlots()) == 0 }

// keeps reports whether the node runs a version for good. An updated that has just
// started does not know it yet.
func (f *Fact) keeps(version string) bool {
	return f.Version == version && !f.armed() && slices.ContainsFunc(f.Update.GetSlots(), func(s *api.UpdateSlot) bool { return s.Running && s.Committed })
}

// restarted reports whether the machine has started anew since it was told to.
func (f *Fact) restarted(n *Node, now time.Time) bool {
	return n.Told.IsZero() || f.Up > 0 && f.Up < now.Sub(n.Told)
}

// ready reports whether the slot that does not run has a version that can be
// tried. One that failed before is tried again only when it was asked for anew.
func (f *Fact) ready(version string) bool {
	return f.other(version, "untried") || f.other(version, "good") || f.Taken && f.other(version, "bad")
}

// before reports whether that slot has a version that was committed once: what
// RollBack tries.
func (f *Fact) before(version string) bool { return f.other(version, "good") }

func (f *Fact) other(version, status string) bool {
	return slices.ContainsFunc(f.Update.GetSlots(), func(s *api.UpdateSlot) bool {
		return !s.Running && s.Version == version && s.Status == status
	})
}
