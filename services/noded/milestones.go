package main

import (
	"sync"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/noded/bgp"
	"weir/services/noded/membership"
)

// milestones are when the node became able to carry traffic, for the first time
// in this life of the kernel. A restart of noded does not begin them anew.
type milestones struct {
	uptime func() time.Duration // of the kernel
	passed chan struct{}        // another one is passed

	mu sync.Mutex
	at *api.Milestones
}

func newMilestones(uptime func() time.Duration, at *api.Milestones) *milestones {
	if at == nil {
		at = &api.Milestones{}
	}
	return &milestones{uptime: uptime, passed: make(chan struct{}, 1), at: at}
}

// look is what is passed so far.
func (m *milestones) look() *api.Milestones {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.at
	return &api.Milestones{DataplaneReady: at.DataplaneReady, StateComplete: at.StateComplete, Announced: at.Announced, TrafficReady: at.TrafficReady}
}

// reach notes what is passed now.
func (m *milestones) reach(dataplane, complete, announced bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, news := m.uptime().Seconds(), false
	pass := func(is bool, at *float64) {
		if is && *at == 0 {
			*at, news = now, true
		}
	}
	pass(dataplane, &m.at.DataplaneReady)
	pass(complete, &m.at.StateComplete)
	pass(announced, &m.at.Announced)
	pass(m.at.DataplaneReady > 0 && m.at.StateComplete > 0 && m.at.Announced > 0, &m.at.TrafficReady)
	if news {
		select {
		case m.passed <- struct{}{}:
		default: // the flag is already up
		}
	}
}

// isAnnounced reports that all who shall announce a node say that they do, to
// all routers. Where there are no routers, its own word must do.
func isAnnounced(c *config.Cluster, v *membership.View, id string) bool {
	self := c.Member(id)
	plan := v.ForConfig()
	if !plan.Nodes[self.Number].Announce {
		return false
	}
	for _, by := range bgp.Announcers(c, plan, id) {
		told := false
		for _, a := range v.Announced {
			told = told || a == membership.Announcement{Node: self.Number, By: c.Member(by).Number}
		}
		if !told {
			return false
		}
	}
	return true
}
