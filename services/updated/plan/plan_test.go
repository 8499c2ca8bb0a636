package plan

import (
	"errors"
	"strings"
	"testing"
	"time"

	"weir/firmware/gate"
	"weir/firmware/trial"
	"weir/services/api"
)

func TestTheNextStep(t *testing.T) {
	record := func(s trial.State, on trial.Slot) trial.Record {
		return trial.Record{State: s, Trial: on, Committed: on.Other()}
	}
	for name, c := range map[string]struct {
		facts Facts
		want  Step
	}{
		"no slots":                            {Facts{Job: true}, Rest},
		"from the network":                    {Facts{Served: true}, Watch},
		"from the network, good":              {Facts{Served: true, Verdict: gate.Commit}, Tell},
		"from the network, sick":              {Facts{Served: true, Verdict: gate.GoBack}, Tell},
		"from the network, and told":          {Facts{Served: true, Told: true, Verdict: gate.Commit}, Rest},
		"nothing to do":                       {Facts{Running: trial.A}, Rest},
		"a job":                               {Facts{Running: trial.A, Job: true, LookDue: true}, Work},
		"a job, paused":                       {Facts{Running: trial.A, Job: true, Paused: true}, Rest},
		"time for a look":                     {Facts{Running: trial.A, LookDue: true}, Look},
		"time for a look, paused":             {Facts{Running: trial.A, LookDue: true, Paused: true}, Rest},
		"installed, to be tried":              {Facts{Running: trial.A, Record: record(trial.Written, trial.B), TryAfter: true}, Try},
		"installed, to be tried, paused":      {Facts{Running: trial.A, Record: record(trial.Written, trial.B), TryAfter: true, Paused: true}, Rest},
		"installed":                           {Facts{Running: trial.A, Record: record(trial.Written, trial.B)}, Rest},
		"a trial is ordered":                  {Facts{Running: trial.A, Record: record(trial.Tried, trial.B), Paused: true}, Restart},
		"on trial":                            {Facts{Running: trial.B, Record: record(trial.Tried, trial.B), Proving: true, MayGoBack: true, Job: true}, Watch},
		"on trial, good":                      {Facts{Running: trial.B, Record: record(trial.Tried, trial.B), Proving: true, Verdict: gate.Commit}, Commit},
		"on trial, sick, paused":              {Facts{Running: trial.B, Record: record(trial.Tried, trial.B), Proving: true, MayGoBack: true, Verdict: gate.GoBack, Paused: true}, GoBack},
		"on trial, sick, nothing to go to":    {Facts{Running: trial.B, Record: record(trial.Tried, trial.B), Proving: true, Verdict: gate.GoBack}, Again},
		"rolled back, still running":          {Facts{Running: trial.B, Record: record(trial.RolledBack, trial.B), Proving: true, MayGoBack: true}, Restart},
		"rolled back, started again all same": {Facts{Running: trial.B, Record: record(trial.RolledBack, trial.B)}, Rest},
		"rolled back":                         {Facts{Running: trial.A, Record: record(trial.RolledBack, trial.B)}, Rest},
		"proved good":                         {Facts{Running: trial.B, Record: trial.Record{State: trial.Committed, Trial: trial.B, Committed: trial.B}, Proving: true, Verdict: gate.Commit}, Rest},
	} {
		if got := Next(c.facts); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestNodesThatStartTogetherLookAtDifferentTimes(t *testing.T) {
	for random, want := range map[float64][2]time.Duration{0: {0, 54 * time.Minute}, 0.5: {30 * time.Minute, time.Hour}, 1: {time.Hour, 66 * time.Minute}} {
		if got := Pause(time.Hour, true, random); got != want[0] {
			t.Errorf("first, %v: %v, want %v", random, got, want[0])
		}
		if got := Pause(time.Hour, false, random); got.Round(time.Second) != want[1] {
			t.Errorf("later, %v: %v, want %v", random, got, want[1])
		}
	}
	if a, b := Backoff(1, 1), Backoff(100, 1); a != 5*time.Second || b != 5*time.Minute {
		t.Errorf("%v, %v", a, b)
	}
}

// well is a node of three in service.
func well() *api.NodeStatus {
	return &api.NodeStatus{
		Id: "lb1", Generation: "g", Learned: true, Settled: true, RingEpoch: 7, SyncedEpoch: 7,
		Milestones: &api.Milestones{DataplaneReady: 1, StateComplete: 2, Announced: 3, TrafficReady: 3},
		Dataplane:  &api.DataplaneStatus{BootId: 5, Ports: []*api.Port{{Name: "north", LinkUp: true}, {Name: "south", LinkUp: true}}},
		Nodes: []*api.NodeView{
			{Id: "lb1", Health: api.HealthHealthy, Phase: api.PhaseAnnounced, AnnouncedBy: []string{"lb2", "lb3"}},
			{Id: "lb2", Health: api.HealthHealthy, Phase: api.PhaseAnnounced}, {Id: "lb3", Health: api.HealthHealthy, Phase: api.PhaseAnnounced}},
		Bgp:      []*api.BgpSession{{Peer: "10.10.0.1", State: "established"}, {Peer: "10.10.0.2", State: "connecting"}},
		Services: []*api.Service{{Name: "dataplane", State: "ready"}, {Name: "noded", State: "ready"}},
	}
}

// faults are those of an observation, in one text.
func faults(o gate.Observation) string {
	v := gate.New(gate.Limits{Hold: time.Second, Deadline: time.Minute, Silence: time.Second}, time.Unix(0, 0)).Observe(time.Unix(0, 1), o)
	return v.Reason()
}

func TestANodeInServiceIsWell(t *testing.T) {
	var o Observer
	if f := faults(o.Observe(well())); f != "" {
		t.Error(f)
	}
	alone := well()
	alone.Nodes, alone.Bgp = alone.Nodes[:1], nil
	alone.Nodes[0].AnnouncedBy = nil
	if f := faults(o.Observe(alone)); f != "" {
		t.Errorf("a single node without routers: %s", f)
	}
	two := well()
	two.Nodes[2].Health, two.Nodes[0].AnnouncedBy = api.HealthUnhealthy, []string{"lb1", "lb2"}
	if f := faults(o.Observe(two)); f != "" {
		t.Errorf("one of two that are left: %s", f)
	}
}

func TestWhatIsNotWellIsNamed(t *testing.T) {
	for want, harm := range map[string]func(*api.NodeStatus){
		"the dataplane does not forward: it does not answer":                   func(s *api.NodeStatus) { s.Dataplane = nil },
		"the dataplane does not forward: broken":                               func(s *api.NodeStatus) { s.DataplaneError = "broken" },
		"the dataplane does not forward: it has no desired state in force yet": func(s *api.NodeStatus) { s.Milestones.DataplaneReady = 0 },
		"the link of its south port is down":                                   func(s *api.NodeStatus) { s.Dataplane.Ports[1].LinkUp = false },
		"no router is reached: 10.10.0.1 is idle: no route": func(s *api.NodeStatus) {
			s.Bgp = []*api.BgpSession{{Peer: "10.10.0.1", State: "idle", Reason: "no route"}}
		},
		"the dataplane does not forward: it was started anew": func(s *api.NodeStatus) { s.Dataplane.BootId = 6 },
		"dataplane was started anew (signal: segmentation fault)": func(s *api.NodeStatus) {
			s.Services[0].Restarts, s.Services[0].LastEnd = 1, "signal: segmentation fault"
		},
		"the neighbours do not announce this node: announced by 1 (lb2), want 2":             func(s *api.NodeStatus) { s.Nodes[0].AnnouncedBy = []string{"lb1", "lb2"} },
		"the neighbours do not announce this node: it is tracking":                           func(s *api.NodeStatus) { s.Nodes[0].Phase = api.PhaseTracking },
		"it is drained; put it back: weirctl node undrain lb1":                               func(s *api.NodeStatus) { s.Drained = true },
		"it does not know itself":                                                            func(s *api.NodeStatus) { s.Nodes = nil },
		"the control plane is not reachable: the configuration cannot be put in force: line": func(s *api.NodeStatus) { s.ConfigError = "line" },
		"the last configuration that worked":                                                 func(s *api.NodeStatus) { s.Boot = &api.BootStatus{ConfigLastGood: true} },
		"the control plane is not reachable: no configuration is in force":                   func(s *api.NodeStatus) { s.Generation = "" },
		"the control plane is not reachable: gone":                                           func(s *api.NodeStatus) { s.ConfigAway = "gone" },
		"this node is cut off":                                                               func(s *api.NodeStatus) { s.Isolated = true },
		"does not know the others yet":                                                       func(s *api.NodeStatus) { s.Learned = false },
		"state is not complete: flows of this node are still on their way":                   func(s *api.NodeStatus) { s.Milestones.StateComplete = 0 },
		"state is not complete: node lb3 is receive-only":                                    func(s *api.NodeStatus) { s.Nodes[2].Phase = api.PhaseReceiveOnly },
		"the ring has changed just now":                                                      func(s *api.NodeStatus) { s.Settled = false },
		"flows are being handed on":                                                          func(s *api.NodeStatus) { s.SyncedEpoch = 6 },
	} {
		var o Observer
		o.Observe(well())
		s := well()
		harm(s)
		if f := faults(o.Observe(s)); !strings.Contains(f, want) {
			t.Errorf("got %q, want %q", f, want)
		}
	}
	if f := faults(Silent(errors.New("no such file"))); f != "the control plane is not reachable: noded does not answer: no such file" {
		t.Error(f)
	}
	var o Observer
	if f := faults(o.Observe(&api.NodeStatus{})); f == "" {
		t.Error("nothing at all is well")
	}
}
