package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weir/firmware/gate"
	"weir/services/api"
)

// Observer makes of every NodeStatus what the gate looks at. It remembers the one
// before, to notice what broke and mended itself in between.
type Observer struct {
	lives map[string]uint32 // restarts of services
	boot  uint64            // of the dataplane
}

// Silent is the observation when noded does not answer.
func Silent(err error) gate.Observation {
	well := gate.Finding{OK: true}
	return gate.Observation{Dataplane: well, Neighbours: well, State: well, ControlPlane: gate.Finding{Why: "noded does not answer: " + err.Error()}}
}

// Observe looks at one status.
func (o *Observer) Observe(s *api.NodeStatus) gate.Observation {
	return gate.Observation{Dataplane: finding(o.dataplane(s)), Neighbours: finding(neighbours(s)), ControlPlane: finding(controlPlane(s)), State: finding(state(s))}
}

// finding is good if there is no fault.
func finding(fault string) gate.Finding { return gate.Finding{OK: fault == "", Why: fault} }

func (o *Observer) dataplane(s *api.NodeStatus) string {
	died := o.died(s)
	d := s.Dataplane
	switch {
	case died != "":
		return died
	case s.DataplaneError != "":
		return s.DataplaneError
	case d == nil:
		return "it does not answer"
	case s.Milestones.GetDataplaneReady() == 0:
		return "it has no desired state in force yet"
	}
	for _, p := range d.Ports {
		if !p.LinkUp {
			return fmt.Sprintf("the link of its %s port is down", p.Name)
		}
	}
	return routers(s)
}

// died says that a service was started anew since the last look, which a look at
// its state alone would miss.
func (o *Observer) died(s *api.NodeStatus) (fault string) {
	lives := map[string]uint32{}
	for _, v := range s.Services {
		lives[v.Name] = v.Restarts
		if before, known := o.lives[v.Name]; known && v.Restarts > before {
			fault = fmt.Sprintf("%s was started anew (%s)", v.Name, cmp.Or(v.LastEnd, "it ended"))
		}
	}
	boot := s.Dataplane.GetBootId()
	if fault == "" && o.boot != 0 && boot != 0 && boot != o.boot {
		fault = "it was started anew"
	}
	o.lives = lives
	o.boot = cmp.Or(boot, o.boot)
	return fault
}

// routers: a node that announces others reaches one of the routers at least. All
// of them would be too much: a router may be down for repair.
func routers(s *api.NodeStatus) string {
	if len(s.Bgp) == 0 || slices.ContainsFunc(s.Bgp, func(b *api.BgpSession) bool { return b.State == "established" }) {
		return ""
	}
	b := s.Bgp[0]
	return fmt.Sprintf("no router is reached: %s is %s: %s", b.Peer, b.State, b.Reason)
}

// neighbours: both announce this node, to all routers; all there are, where there
// are fewer. Where there are no routers, its own word must do.
func neighbours(s *api.NodeStatus) string {
	self := own(s)
	switch {
	case s.Drained:
		return "it is drained; put it back: weirctl node undrain " + s.Id
	case self == nil:
		return "it does not know itself as a node"
	case self.Phase != api.PhaseAnnounced:
		return "it is " + cmp.Or(self.Phase, "not in service")
	case s.Milestones.GetAnnounced() == 0:
		return "they have not yet"
	case len(s.Bgp) == 0:
		return ""
	}
	others := 0
	for _, n := range s.Nodes {
		if n.Id != s.Id && n.Health == api.HealthHealthy {
			others++
		}
	}
	by := slices.DeleteFunc(slices.Clone(self.AnnouncedBy), func(id string) bool { return id == s.Id })
	if want := min(2, others); len(by) < want {
		return fmt.Sprintf("announced by %d (%s), want %d", len(by), strings.Join(by, ", "), want)
	}
	return ""
}

func controlPlane(s *api.NodeStatus) string {
	switch {
	case s.ConfigError != "":
		return "the configuration cannot be put in force: " + s.ConfigError
	case s.Boot.GetConfigLastGood():
		return "the machine runs with the last configuration that worked, not with the present one"
	case s.Generation == "":
		return "no configuration is in force"
	case s.ConfigAway != "":
		return s.ConfigAway
	case s.Isolated:
		return "this node is cut off from the others"
	case !s.Learned:
		return "this node does not know the others yet"
	}
	return ""
}

// state is complete on a node that speaks (S-64).
func state(s *api.NodeStatus) string {
	if s.Milestones.GetStateComplete() == 0 {
		return "flows of this node are still on their way"
	}
	for _, n := range s.Nodes {
		if n.Health == api.HealthHealthy && (n.Phase == api.PhaseReceiveOnly || n.Phase == api.PhaseTracking) {
			return fmt.Sprintf("node %s is %s", n.Id, n.Phase)
		}
	}
	switch {
	case !s.Settled:
		return "the ring has changed just now"
	case s.SyncedEpoch != s.RingEpoch:
		return "flows are being handed on to other nodes"
	}
	return ""
}

func own(s *api.NodeStatus) *api.NodeView {
	i := slices.IndexFunc(s.Nodes, func(n *api.NodeView) bool { return n.Id == s.Id })
	if i < 0 {
		return nil
	}
	return s.Nodes[i]
}
