package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"weir/dataplane/packet"
	"weir/services/noded/bgp"
)

// sessions are the BGP sessions of all nodes with the router (S-60 to S-62):
// each announces one node, and dies with its holder only when the hold time is
// over.
type sessions struct {
	c    *Cluster
	rand *rand.Rand
	list []*session
	hops []MAC
}

type session struct {
	holder    uint16
	slot      string
	next      uint16 // the node that it announces
	heard     int64  // when the router last heard of it
	announced bool
	closed    bool // by its holder
}

// Times of BGP.
const (
	holdTime    = 3 * time.Second
	openingTime = 50 * time.Millisecond // longest time until a session is established
	routerLook  = 50 * time.Millisecond
)

func newSessions(c *Cluster) *sessions {
	s := &sessions{c: c, rand: c.Sim.Rand("bgp")}
	s.look()
	return s
}

// want says which sessions a node holds from now on.
func (s *sessions) want(n *Node, targets []bgp.Target) {
	n.control.wanted = targets
	for _, e := range s.list {
		if e.holder == n.Number && !e.closed && !slices.ContainsFunc(targets, func(t bgp.Target) bool { return s.is(e, t) }) {
			e.closed = true
		}
	}
	s.keep(n)
}

func (s *sessions) is(e *session, t bgp.Target) bool {
	return e.slot == t.Slot && e.next == s.c.config.Member(t.Advertises).Number
}

// of is a node's open session for a target, or nil.
func (s *sessions) of(n *Node, t bgp.Target) *session {
	i := slices.IndexFunc(s.list, func(e *session) bool { return e.holder == n.Number && !e.closed && s.is(e, t) })
	if i < 0 {
		return nil
	}
	return s.list[i]
}

// announcing reports whether all sessions that a node wants are established.
func (s *sessions) announcing(n *Node) bool {
	return !slices.ContainsFunc(n.control.wanted, func(t bgp.Target) bool { e := s.of(n, t); return e == nil || !e.announced })
}

// keep is a node's turn: it opens what is missing, and keeps alive what it holds.
func (s *sessions) keep(n *Node) {
	if n.links[packet.North].bad() {
		return
	}
	now := s.c.Sim.Now()
	for _, t := range n.control.wanted {
		if s.of(n, t) == nil {
			e := &session{holder: n.Number, slot: t.Slot, next: s.c.config.Member(t.Advertises).Number, heard: now}
			s.list = append(s.list, e)
			n.after(time.Duration(s.rand.Int64N(int64(openingTime))), func() { e.announced = !e.closed; s.route() })
		}
	}
	for _, e := range s.list {
		if e.holder == n.Number {
			e.heard = now
		}
	}
	if slices.ContainsFunc(s.list, func(e *session) bool { return e.holder == n.Number && e.closed }) {
		s.c.Sim.After(northLatency, func() { s.withdraw(n.Number) })
	}
}

// withdraw is the router's: the holder closed sessions.
func (s *sessions) withdraw(holder uint16) {
	s.list = slices.DeleteFunc(s.list, func(e *session) bool { return e.holder == holder && e.closed })
	s.route()
}

// look ends the sessions that were not heard of for the hold time.
func (s *sessions) look() {
	now := s.c.Sim.Now()
	s.list = slices.DeleteFunc(s.list, func(e *session) bool { return now-e.heard > int64(holdTime) })
	s.route()
	s.c.Sim.After(routerLook, s.look)
}

// route makes the router's next hops those that somebody announces.
func (s *sessions) route() {
	var hops []MAC
	for _, n := range s.c.Nodes {
		if slices.ContainsFunc(s.list, func(e *session) bool { return e.announced && e.next == n.Number }) {
			hops = append(hops, nodeMAC(0, int(n.Number)))
		}
	}
	if !slices.Equal(hops, s.hops) {
		s.hops = hops
		s.c.Router.SetNextHops(hops)
		s.c.Sim.Log("router: %d next hops %v", len(hops), hops)
	}
}
