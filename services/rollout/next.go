package rollout

import (
	"fmt"
	"slices"
	"time"
)

// Next is the document after a look at all nodes of the cluster file, and what is
// to be done once it is saved. It may be called as often as one likes.
func Next(d Document, facts []Fact, now time.Time) (Document, []Action) {
	r := round{Document: d, facts: map[string]*Fact{}, now: now}
	r.Nodes = slices.Clone(d.Nodes)
	r.meet(facts)
	for i := range r.Nodes {
		r.step(&r.Nodes[i])
	}
	r.begin()
	r.end()
	return r.Document, r.actions
}

// round is one look.
type round struct {
	Document
	facts   map[string]*Fact
	now     time.Time
	actions []Action
}

// meet takes note of nodes that came and went.
func (r *round) meet(facts []Fact) {
	for i := range facts {
		f := &facts[i]
		r.facts[f.ID] = f
		if !slices.ContainsFunc(r.Nodes, func(n Node) bool { return n.ID == f.ID }) {
			r.Nodes = append(r.Nodes, Node{ID: f.ID, Phase: Waiting, Since: r.now})
		}
	}
	for i := range r.Nodes {
		n := &r.Nodes[i]
		f := r.facts[n.ID]
		switch {
		case f == nil && n.Phase != Gone:
			n.enter(Gone, r.now)
			n.Now = "it is not in the cluster file any more"
		case f != nil && n.Phase == Gone:
			n.enter(Waiting, r.now)
		}
		if f != nil && n.From == "" && f.Silent == "" && f.keeps(f.Version) {
			n.From = f.Version
		}
	}
}

func (r *round) do(n *Node, a Act) {
	action := Action{Node: n.ID, Act: a}
	switch a {
	case Install:
		action.Version = r.Goal(n)
	case RollBack:
		action.Reason = "the upgrade of the cluster goes to version " + r.Goal(n)
	}
	r.actions = append(r.actions, action)
}

// fail ends the attempt at a node, and with it the rollout.
func (r *round) fail(n *Node, remedy, format string, args ...any) {
	n.enter(Failed, r.now)
	n.Now, n.Ended = fmt.Sprintf(format, args...), r.now
	r.stop("node "+n.ID+": "+n.Now, remedy)
}

// stop begins nothing any more. The first reason stays.
func (r *round) stop(reason, remedy string) {
	if r.State == Running || r.State == Paused {
		r.State, r.Reason, r.Remedy = Stopped, reason, remedy
	}
}

const again = "mend it, then: weirctl upgrade resume; or take the cluster back: weirctl upgrade rollback"

// step is what becomes of one node, short of taking it out of service.
func (r *round) step(n *Node) {
	f := r.facts[n.ID]
	if f == nil {
		return
	}
	if n.Phase == Installing && r.State != Running {
		n.enter(Waiting, r.now) // the node may go on with it; nothing is restarted
		n.Begun = time.Time{}
	}
	if (n.Phase == Draining || n.Phase == Restarting) && r.State == Stopped {
		n.enter(Waiting, r.now)
		n.Begun, n.Out = time.Time{}, time.Time{}
	}
	switch n.Phase {
	case Waiting:
		r.waiting(n, f)
	case Installing:
		r.installing(n, f)
	case Draining:
		r.draining(n, f)
	case Restarting:
		r.restarting(n, f)
	case Trying:
		r.trying(n, f)
	case Settling:
		r.settling(n, f)
	}
	r.repay(n, f)
}

// repay puts back what the rollout has drained and does not need so any more.
func (r *round) repay(n *Node, f *Fact) {
	turning := n.Phase == Trying && r.Back && f.proving() && f.Version != r.Goal(n)
	if !n.Owes || f.Silent != "" || n.Phase == Draining || n.Phase == Restarting || turning {
		return
	}
	switch {
	case f.Leaving:
		r.do(n, Undrain)
	case n.Phase != Trying: // there it may not have restarted yet
		n.Owes = false
	}
}

func (r *round) waiting(n *Node, f *Fact) {
	switch {
	case f.Silent != "" || f.Update == nil:
	case f.armed():
		n.enter(Trying, r.now) // it was told just before a pause, or by somebody else
		n.Told = time.Time{}
	case f.keeps(r.Goal(n)):
		n.enter(Finished, r.now)
	}
}

func (r *round) installing(n *Node, f *Fact) {
	job := f.Update.GetJob()
	switch {
	case f.Silent != "":
		n.Now = "it does not answer: " + f.Silent
		if f.SilentFor > silentLimit {
			r.fail(n, again, "it does not answer: %s", f.Silent)
		}
	case f.Update == nil:
		n.Now = "its updated does not answer: " + f.UpdateSilent
		if r.now.Sub(n.Since) > restartLimit {
			r.fail(n, again, "its updated does not answer: %s", f.UpdateSilent)
		}
	case f.Update.Error != "":
		r.fail(n, "upgrade this node by itself, or take it out of the cluster file", "it cannot be upgraded: %s", f.Update.Error)
	case f.armed():
		n.enter(Trying, r.now)
		n.Told = time.Time{}
	case f.Begins():
		n.Now = "its updated begins"
	case f.keeps(r.Goal(n)):
		n.enter(Finished, r.now)
	case f.ready(r.Goal(n)):
		r.leave(n)
	case f.Refused != "":
		r.fail(n, again, "version %s is not installed: %s", r.Goal(n), f.Refused)
	case f.StuckFor > stuckLimit:
		r.fail(n, again, "version %s is not installed: it waits: %s", r.Goal(n), job.GetError())
	case f.Update.Paused:
		r.fail(n, "let it: weirctl node upgrade resume "+n.ID+"; then: weirctl upgrade resume", "an operator has paused upgrades at this node")
	default:
		n.Now = "asked to install " + r.Goal(n)
		if job != nil {
			n.Now = progress(job)
			return
		}
		r.do(n, Install)
	}
}

// leave takes a node with an installed version out of service, if all are well.
func (r *round) leave(n *Node) {
	if why, id := r.unwell(); why != "" {
		n.Now = "waits for " + id + ": " + why
		return
	}
	n.enter(Draining, r.now)
	n.Owes, n.Out = true, r.now
	r.do(n, Drain)
}

func (r *round) draining(n *Node, f *Fact) {
	n.Now = "its flows move to the other nodes"
	switch {
	case f.Silent != "":
		n.Now = "it does not answer: " + f.Silent
		if f.SilentFor > silentLimit {
			r.fail(n, again, "it does not answer: %s", f.Silent)
		}
	case f.Drained && f.Update != nil:
		n.enter(Restarting, r.now)
		n.Told = r.now
		r.restarting(n, f)
	case r.now.Sub(n.Since) > drainLimit:
		r.fail(n, again, "it is not drained after %v", drainLimit)
	default:
		r.do(n, Drain)
	}
}

func (r *round) restarting(n *Node, f *Fact) {
	goal := r.Goal(n)
	n.Now = "restarts into " + goal
	switch {
	case f.Taken || f.armed() || f.Silent == "" && (f.Version == goal || f.restarted(n, r.now)):
		n.enter(Trying, r.now)
		r.trying(n, f)
	case f.Silent != "" || f.Update == nil:
		if f.SilentFor > silentLimit || f.Silent == "" && r.now.Sub(n.Since) > restartLimit {
			r.fail(n, again, "it does not come back: %s%s", f.Silent, f.UpdateSilent)
		}
	case f.Refused != "":
		r.fail(n, again, "version %s cannot be tried: %s", goal, f.Refused)
	case !f.Drained: // its noded was restarted
		n.enter(Installing, r.now)
	case f.before(goal):
		r.do(n, RollBack)
	default:
		r.do(n, Try)
	}
}

// trying waits for the node's own verdict.
func (r *round) trying(n *Node, f *Fact) {
	goal := r.Goal(n)
	switch {
	case f.Silent != "":
		n.Now = "restarts: " + f.Silent
		if f.SilentFor > silentLimit {
			r.fail(n, "look at its console", "it does not come back: %s", f.Silent)
		}
	case f.Update == nil:
		n.Now = "its updated does not answer: " + f.UpdateSilent
		if r.now.Sub(n.Since) > restartLimit {
			r.fail(n, "look at its console", "its updated does not answer: %s", f.UpdateSilent)
		}
	case f.Version == goal && f.proving():
		n.Now = "its health gate holds" + waits(f.Update.Trial.WaitsFor)
	case f.keeps(goal):
		n.enter(Settling, r.now)
		r.settling(n, f)
	case f.Begins() || f.Version == goal:
		n.Now = "its updated begins"
		if r.now.Sub(n.Since) > restartLimit {
			r.fail(n, "look at its console", "it does not say for %v whether it keeps version %s", restartLimit, f.Version)
		}
	case f.proving() && r.Back: // the version that is not wanted any more
		n.Now = "ends the trial of " + f.Version
		if f.Drained {
			r.do(n, RollBack)
		} else {
			n.Owes = true
			r.do(n, Drain)
		}
	case f.proving():
		r.fail(n, again, "version %s is on trial, not %s", f.Version, goal)
	case !f.restarted(n, r.now):
		n.Now = "restarts"
		if r.now.Sub(n.Since) > restartLimit {
			r.fail(n, again, "it did not restart within %v", restartLimit)
		}
	case f.Update.State == "rolled back":
		r.fail(n, "correct the version and begin an upgrade to it, or mend the node and: weirctl upgrade resume; to take the other nodes back: weirctl upgrade rollback",
			"version %s has failed its trial, and the node is back in %s: %s", goal, f.Version, f.Update.Reason)
	case f.armed():
		n.Now = "restarts"
	default: // it was restarted by somebody else, and begins anew
		n.enter(Installing, r.now)
	}
}

func (r *round) settling(n *Node, f *Fact) {
	goal := r.Goal(n)
	switch {
	case f.Silent == "" && f.Version != goal:
		r.fail(n, again, "it runs %s, which somebody else has chosen", f.Version)
	case f.Silent == "" && f.Unwell == "" && !f.Leaving && f.keeps(goal):
		n.enter(Finished, r.now)
		n.Ended = r.now
	case f.SilentFor > unwellLimit || f.Silent == "" && f.UnwellFor > unwellLimit:
		r.fail(n, again, "it runs %s, but is not in full service: %s%s", goal, f.Silent, f.Unwell)
	default:
		n.Now = "waits: " + f.Silent + f.Unwell
	}
}
