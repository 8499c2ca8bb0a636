package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/noded/health"
	"weir/services/noded/membership"
)

// addStatus adds what a node with a configuration knows.
func (n *node) addStatus(ctx context.Context, s *api.NodeStatus) {
	c, desired, rejected := n.current()
	v := n.membership()
	seen := n.stats(ctx)
	s.Cluster, s.Generation = c.Identity.Name, desired.GetGeneration()
	s.Nodes, s.Servers, s.Bgp = n.nodeViews(c, &seen), n.serverViews(c, &seen), n.sessions()
	s.RingEpoch, s.Settled, s.Learned, s.Isolated, s.Drained = v.Epoch, v.Settled, v.Learned, v.Isolated, v.Drained
	s.SyncedEpoch = n.synced.Load()
	if rejected != nil {
		s.ConfigError = rejected.Error()
	}
	var err error
	if s.Dataplane, err = n.link.status(ctx); err != nil {
		s.DataplaneError = err.Error()
	} else if err := n.link.failure(); err != nil {
		s.DataplaneError = err.Error()
	}
	s.Alarms = append(s.Alarms, alarms(c, s)...)
	if err := n.source.Away(); err != nil {
		s.ConfigAway = err.Error()
		s.Alarms = append(s.Alarms, err.Error()+"; the configuration in force stays")
	}
}

// condition is what this node does, in a line.
func (n *node) condition() string {
	c, _, _ := n.current()
	v := n.membership()
	self := c.Member(n.file.Node)
	place, healthy := "starts", 0
	for i := range v.Nodes {
		s := &v.Nodes[i]
		if s.Number == self.Number {
			place = phase(s, v.Drained)
		}
		if s.State == membership.StateHealthy {
			healthy++
		}
	}
	if err := n.link.failure(); err != nil {
		return "no dataplane: " + err.Error()
	}
	return fmt.Sprintf("%s; %d of %d nodes are healthy", place, healthy, len(c.Nodes))
}

// noteMembers notes whom this node knows.
func (n *node) noteMembers() {
	c, _, _ := n.current()
	if v := n.membership(); v.Learned {
		n.front.history.members(n.nodeViews(c, &health.Stats{}))
	}
}

// membership is the present view.
func (n *node) membership() membership.View {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.view
}

// stats are those of the checks; empty when their thread does not answer in time.
func (n *node) stats(ctx context.Context) health.Stats {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := n.loop.Stats(ctx)
	if err != nil {
		n.log.Warn("ask for the state of health checks", "error", err)
	}
	return s
}

func (n *node) nodeViews(c *config.Cluster, seen *health.Stats) []*api.NodeView {
	v := n.membership()
	shares := n.shares.of(c, n.file.Node, &v)
	var out []*api.NodeView
	for i := range c.Nodes {
		m := &c.Nodes[i]
		view := &api.NodeView{Id: m.ID, Number: uint32(m.Number), Health: api.HealthUnhealthy,
			North: m.North.String(), South: m.South.String(), RingShare: shares[m.Number]}
		for j := range v.Nodes {
			if s := &v.Nodes[j]; s.Number == m.Number {
				view.Health, view.Boot, view.Phase = nodeHealth(m, s), s.Boot, phase(s, v.Drained && m.ID == n.file.Node)
			}
		}
		for _, a := range v.Announced {
			by := slices.IndexFunc(c.Nodes, func(o config.Member) bool { return o.Number == a.By })
			if a.Node == m.Number && by >= 0 {
				view.AnnouncedBy = append(view.AnnouncedBy, c.Nodes[by].ID)
			}
		}
		for _, p := range seen.Nodes {
			if p.Number == m.Number {
				view.RttNorthMs, view.RttSouthMs = milliseconds(p.RTT[0]), milliseconds(p.RTT[1])
			}
		}
		out = append(out, view)
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// nodeHealth is a node's health in one word. What the file takes out is not healthy.
func nodeHealth(m *config.Member, s *membership.NodeView) string {
	switch {
	case !m.Healthy:
		return api.HealthUnhealthy
	case s.State == membership.StateHealthy:
		return api.HealthHealthy
	case s.State == membership.StateSuspect:
		return api.HealthSuspect
	}
	return api.HealthUnhealthy
}

// phase is where a node stands between joining and leaving (S-64).
func phase(s *membership.NodeView, drained bool) string {
	switch {
	case s.State != membership.StateHealthy:
		return ""
	case drained:
		return api.PhaseDrained
	case s.Leaving:
		return api.PhaseLeaving
	case s.Announce:
		return api.PhaseAnnounced
	case s.Speak:
		return api.PhaseSpeaking
	case s.Track:
		return api.PhaseTracking
	}
	return api.PhaseReceiveOnly
}

func (n *node) serverViews(c *config.Cluster, seen *health.Stats) []*api.ServerView {
	v := n.membership()
	var out []*api.ServerView
	for _, s := range c.Servers {
		view := &api.ServerView{Id: s.ID, Number: uint32(s.Number), Health: api.HealthUnhealthy, Address: s.Address.String(), Weight: uint32(s.Weight)}
		for _, m := range v.Servers {
			if m.Number != s.Number {
				continue
			}
			view.Dead, view.CheckedHere = m.Dead, m.Mine
			if s.Healthy && m.Healthy {
				view.Health = api.HealthHealthy
			}
		}
		for _, k := range seen.Checks {
			if k.Server == s.Number {
				view.CheckError = k.Why
			}
		}
		out = append(out, view)
	}
	return out
}

// alarms are what an operator should look at, one line each.
func alarms(c *config.Cluster, s *api.NodeStatus) []string {
	out := append([]string(nil), c.Warnings...)
	if s.ConfigError != "" {
		out = append(out, "the changed configuration is not in force: "+s.ConfigError)
	}
	if s.DataplaneError != "" {
		out = append(out, "dataplane: "+s.DataplaneError)
	}
	if s.Drained {
		out = append(out, "this node is drained; put it back: weirctl node undrain "+s.Id)
	}
	if s.Isolated {
		out = append(out, "this node is cut off from all others: it announces nobody (S-62)")
	}
	trackers := 0
	for _, n := range s.Nodes {
		if n.RingShare > 0 {
			trackers++
		}
		if n.Health != api.HealthHealthy {
			out = append(out, fmt.Sprintf("node %s is %s", n.Id, n.Health))
		}
	}
	if s.Learned && trackers < 2 {
		out = append(out, fmt.Sprintf("%d node tracks flows: connections are not replicated (S-5)", trackers))
	}
	for _, v := range s.Servers {
		if v.Health != api.HealthHealthy && v.CheckError != "" {
			out = append(out, fmt.Sprintf("server %s gets no offers: %s", v.Id, v.CheckError))
		}
	}
	for _, b := range s.Bgp {
		if b.State != "established" {
			out = append(out, fmt.Sprintf("bgp session %s to %s, which announces %s, is %s: %s", b.Source, b.Peer, b.Advertises, b.State, b.Reason))
		}
	}
	for _, n := range s.Dataplane.GetNeighbours() {
		if len(n.Mac) == 0 {
			out = append(out, fmt.Sprintf("next hop %s is not resolved on %s", n.Id, n.Port))
		}
	}
	return out
}
