// Package rollout decides how a new version comes to all nodes of a cluster
// (S-104): one node after the other, or several of one failure domain, each
// drained before it restarts, the next one only when every node is announced by
// its neighbours and has complete state; it stops at the first failure.
//
// All of it is pure. What is decided is in a Document, which is saved before
// anything is done: whoever carries it on, after whatever interruption, goes on
// from there.
package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// State is what becomes of a rollout.
type State string

// States. A node that is out of service is finished, or put back, in all of them.
const (
	Running State = "running"
	Paused  State = "paused"  // by an operator: no other node is begun
	Stopped State = "stopped" // by a failure: no other node is begun, or restarted
	Done    State = "done"
)

// Phase is how far a node is.
type Phase string

// Phases, in their order. From Draining to Settling a node is under way: it is
// or was out of service, and counts for how many may be.
const (
	Waiting    Phase = "waiting"
	Installing Phase = "installing" // into the slot that does not run; the node serves
	Draining   Phase = "draining"
	Restarting Phase = "restarting" // is told to
	Trying     Phase = "trying"     // until its own health gate has decided
	Settling   Phase = "settling"   // until its neighbours announce it and its state is complete
	Finished   Phase = "done"
	Failed     Phase = "failed"
	Gone       Phase = "gone" // from the cluster file
)

// Document is a rollout, as it is stored.
type Document struct {
	Version string `json:"version"` // that the cluster is to run
	// Back takes every node to the version that it ran before.
	Back   bool   `json:"back,omitempty"`
	AtOnce int    `json:"at_once"` // most nodes of one failure domain that are under way together
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // why it stopped
	Remedy string `json:"remedy,omitempty"`

	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"`
	Nodes []Node    `json:"nodes"`
}

// Node is one node of it.
type Node struct {
	ID    string `json:"id"`
	From  string `json:"from,omitempty"` // that it ran when the rollout first saw it; empty: not seen yet
	Phase Phase  `json:"phase"`
	Now   string `json:"now,omitempty"` // what it does or waits for, or why it failed
	// Owes: the rollout has drained it, and has not seen it in service since.
	Owes bool `json:"owes,omitempty"`

	Begun time.Time `json:"begun,omitzero"` // the installation
	Out   time.Time `json:"out,omitzero"`   // of service
	Ended time.Time `json:"ended,omitzero"` // back in service, or failed
	Since time.Time `json:"since,omitzero"` // it is in this phase
	// Told is when it is told to restart. Zero: somebody else did.
	Told time.Time `json:"told,omitzero"`
}

// UnderWay reports whether the node is or was taken out of service and is not
// known to be back.
func (n *Node) UnderWay() bool {
	return slices.Contains([]Phase{Draining, Restarting, Trying, Settling}, n.Phase)
}

// Goal is the version that a node is to run; empty: not known yet.
func (d *Document) Goal(n *Node) string {
	if d.Back {
		return n.From
	}
	return d.Version
}

// Idle reports whether nothing is to be done until an operator says so.
func (d *Document) Idle() bool {
	busy := func(n Node) bool { return n.UnderWay() || n.Owes && n.Phase != Gone }
	return d.State != Running && !slices.ContainsFunc(d.Nodes, busy)
}

// New is a rollout of a version.
func New(version string, atOnce int, now time.Time) Document {
	return Document{Version: version, AtOnce: max(atOnce, 1), State: Running, Begun: now}
}

// Pause begins no other node.
func (d *Document) Pause() error {
	if d.State != Running {
		return fmt.Errorf("the upgrade is %s, not running", d.State)
	}
	d.State = Paused
	return nil
}

// Resume goes on; what failed is tried again.
func (d *Document) Resume(now time.Time) error {
	if d.State != Paused && d.State != Stopped {
		return fmt.Errorf("the upgrade is %s, not paused or stopped", d.State)
	}
	d.run(now)
	return nil
}

// RollBack turns round, or goes on with the way back.
func (d *Document) RollBack(now time.Time) {
	d.Back = true
	for i := range d.Nodes {
		n := &d.Nodes[i]
		switch n.Phase {
		case Installing, Draining, Restarting, Finished:
			n.enter(Waiting, now)
			n.Begun, n.Out, n.Ended = time.Time{}, time.Time{}, time.Time{}
		case Settling:
			n.enter(Trying, now)
			n.Told = time.Time{}
		}
	}
	d.run(now)
}

func (d *Document) run(now time.Time) {
	d.State, d.Reason, d.Remedy, d.Ended = Running, "", "", time.Time{}
	for i := range d.Nodes {
		if n := &d.Nodes[i]; n.Phase == Failed {
			n.enter(Waiting, now)
			n.Begun, n.Out, n.Ended = time.Time{}, time.Time{}, time.Time{}
		}
	}
}

func (n *Node) enter(p Phase, now time.Time) { n.Phase, n.Since, n.Now = p, now, "" }

// Encode is how a document is stored.
func (d *Document) Encode() (string, error) {
	b, err := json.Marshal(d)
	return string(b), err
}

// Decode reads one. A document of a newer version of this program may hold
// phases that this one does not know: it is refused.
func Decode(b []byte) (Document, error) {
	var d Document
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("read the stored upgrade: %w", err)
	}
	known := []Phase{Waiting, Installing, Draining, Restarting, Trying, Settling, Finished, Failed, Gone}
	if !slices.Contains([]State{Running, Paused, Stopped, Done}, d.State) {
		return d, fmt.Errorf("read the stored upgrade: it is %q, which this version does not know", d.State)
	}
	for _, n := range d.Nodes {
		if !slices.Contains(known, n.Phase) {
			return d, fmt.Errorf("read the stored upgrade: node %s is %q, which this version does not know", n.ID, n.Phase)
		}
	}
	return d, nil
}
