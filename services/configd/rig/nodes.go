package rig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"weir/services/api"
	"weir/services/config"
	"weir/services/rollout"
)

// Versions of the rig's nodes.
const (
	OldVersion = "0.1.0" // that they run
	NewVersion = "0.2.0"
	BadVersion = "0.3.0" // that fails its trial
)

// Nodes are LB nodes as far as an upgrade of the cluster sees them. What takes a
// node time takes them some looks.
type Nodes struct {
	mu     sync.Mutex
	nodes  map[string]*fakeNode
	Away   string   // id of a node that does not answer
	Broken []string // what must never happen, and did
	acts   []string
}

type fakeNode struct {
	runs, other, status, state string
	drained, trial             bool
	down, proves, up           int // looks
}

func (n *Nodes) of(id string) *fakeNode {
	if n.nodes == nil {
		n.nodes = map[string]*fakeNode{}
	}
	if n.nodes[id] == nil {
		n.nodes[id] = &fakeNode{runs: OldVersion, state: "idle", status: "empty", up: 1e6}
	}
	return n.nodes[id]
}

// Acts is what was done, in its order, such as "drain lb1".
func (n *Nodes) Acts() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.acts)
}

// Runs is the version of a node, and whether it is in service.
func (n *Nodes) Runs(id string) (version string, serves bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.of(id)
	return f.runs, !f.drained && f.down == 0
}

// Look is a look at a node.
func (n *Nodes) Look(_ context.Context, m *config.Member) (*api.NodeStatus, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.of(m.ID)
	f.up++
	switch {
	case m.ID == n.Away:
		return nil, errors.New("no route to host")
	case f.down > 0:
		f.down--
		f.up = 0
		return nil, errors.New("connection refused")
	case f.trial && f.runs == BadVersion && f.proves == 0:
		f.restart()
		f.trial, f.state, f.status = false, "rolled back", "bad"
		return nil, errors.New("connection reset")
	case f.trial && f.proves == 0:
		f.trial, f.state = false, "committed"
	case f.trial:
		f.proves--
	}
	return f.say(m.ID), nil
}

func (f *fakeNode) restart() {
	f.runs, f.other, f.status = f.other, f.runs, "good"
	f.drained, f.down, f.proves, f.up = false, 2, 2, 0
}

// say is a node of three in service, unless it is drained.
func (f *fakeNode) say(id string) *api.NodeStatus {
	s := &api.NodeStatus{
		Id: id, Version: f.runs, Generation: "g", Learned: true, Settled: true, RingEpoch: 7, SyncedEpoch: 7, Drained: f.drained,
		Milestones: &api.Milestones{DataplaneReady: 1, StateComplete: 2, Announced: 3, TrafficReady: 3},
		Dataplane:  &api.DataplaneStatus{BootId: 5},
		Boot:       &api.BootStatus{UptimeSeconds: float64(f.up) / 1000},
		Nodes:      []*api.NodeView{{Id: id, Health: api.HealthHealthy, Phase: api.PhaseAnnounced}},
		Update: &api.UpdateStatus{Version: f.runs, State: f.state, Slots: []*api.UpdateSlot{
			{Name: "a", Version: f.runs, Status: "good", Running: true, Committed: !f.trial}, {Name: "b", Version: f.other, Status: f.status}}},
	}
	if f.drained {
		s.Nodes[0].Phase = api.PhaseDrained
	}
	if f.trial {
		s.Update.Trial = &api.UpdateTrial{Decision: "wait", WaitsFor: []string{"time"}}
	}
	if f.state == "rolled back" {
		s.Update.Reason = "the dataplane does not forward"
	}
	return s
}

// Check tells of all versions.
func (n *Nodes) Check(context.Context, *config.Member) (*api.UpdateCheck, error) {
	return &api.UpdateCheck{Source: "http://10.30.0.2/weir", Newest: NewVersion, Versions: []string{NewVersion, OldVersion, BadVersion}}, nil
}

// Act does something at a node.
func (n *Nodes) Act(_ context.Context, m *config.Member, a rollout.Action) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.of(m.ID)
	n.acts = append(n.acts, string(a.Act)+" "+m.ID)
	switch a.Act {
	case rollout.Install:
		f.other, f.status, f.state = a.Version, "untried", "written"
	case rollout.Drain:
		for id, o := range n.nodes {
			if id != m.ID && (o.drained || o.down > 0) {
				n.Broken = append(n.Broken, fmt.Sprintf("%s is drained while %s is not in service", m.ID, id))
			}
		}
		f.drained = true
	case rollout.Undrain:
		f.drained = false
	case rollout.Try, rollout.RollBack:
		if !f.drained {
			n.Broken = append(n.Broken, m.ID+" is restarted in service")
		}
		f.restart()
		f.trial, f.state = true, "tried"
	}
	return nil
}
