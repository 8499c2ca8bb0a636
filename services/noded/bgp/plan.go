// Package bgp announces the public addresses of a cluster. A node does not
// announce itself: its neighbours in the ring do, each in a session of its own
// per advertised node, so that closing one session withdraws one node (S-60,
// S-61). Plan says which sessions a node holds; Manager holds them.
package bgp

import (
	"net/netip"
	"slices"
	"time"

	"weir/services/config"
)

// Slots of a node.
const (
	SlotLeft  = "left"  // announces the left neighbour
	SlotRight = "right" // announces the right neighbour
	SlotSelf  = "self"  // announces the node itself: fewer than three healthy nodes
)

// Target is one node to advertise to every router, from one source address. A
// router knows a session by its source, so the source names holder and slot.
type Target struct {
	Slot       string
	Source     netip.Addr
	Advertises string     // id of the node
	NextHop    netip.Addr // that node's north address
	NextHop6   netip.Addr // invalid: it has none
}

// Desired is everything that one node announces.
type Desired struct {
	ASN         uint32
	HoldTime    time.Duration
	LocalPref   uint32
	Communities []config.Community
	Prefixes    []netip.Prefix
	Routers     []config.Router
	Targets     []Target
}

// Plan says what a node announces. The ring is the announced ingress nodes in
// the order of the cluster file; view is what membership knows of them, and
// without one every node that the file calls healthy is announced. A node
// outside the ring announces nothing, unless it speaks: then it announces the
// neighbours that it has once it is announced itself, so that they can leave
// their old announcers without losing the last one (S-62).
func Plan(c *config.Cluster, view *config.View, nodeID string, speaks bool) Desired {
	d := Desired{
		ASN: c.BGP.ASN, HoldTime: c.BGP.HoldTime, LocalPref: c.BGP.LocalPref, Communities: c.BGP.Communities,
		Prefixes: c.Prefixes(), Routers: c.Routers,
	}
	announced := func(m *config.Member) bool { return view == nil || view.Nodes[m.Number].Announce }
	var ring []*config.Member
	for i := range c.Nodes {
		m := &c.Nodes[i]
		if m.Healthy && m.Has(config.RoleIngress) && (announced(m) || speaks && m.ID == nodeID) {
			ring = append(ring, m)
		}
	}
	i := slices.IndexFunc(ring, func(m *config.Member) bool { return m.ID == nodeID })
	if i < 0 || len(c.Routers) == 0 {
		return d
	}
	self, n := ring[i], len(ring)
	add := func(slot string, source netip.Addr, m *config.Member) {
		d.Targets = append(d.Targets, Target{Slot: slot, Source: source, Advertises: m.ID, NextHop: m.North, NextHop6: m.North6})
	}
	if n > 1 {
		add(SlotLeft, self.Slots.Left, ring[(i+n-1)%n])
	}
	switch {
	case n > 2:
		add(SlotRight, self.Slots.Right, ring[(i+1)%n])
	case announced(self):
		add(SlotSelf, self.North, self)
	}
	return d
}

// Announcers are the nodes that shall announce a node, as far as this follows
// from a view: its neighbours in the ring, or, with fewer than three, also
// itself. A node that is not announced has none.
func Announcers(c *config.Cluster, view *config.View, nodeID string) []string {
	var out []string
	for i := range c.Nodes {
		for _, t := range Plan(c, view, c.Nodes[i].ID, false).Targets {
			if t.Advertises == nodeID {
				out = append(out, c.Nodes[i].ID)
			}
		}
	}
	return out
}

// Sources are the addresses that the node must own for its sessions.
func (d *Desired) Sources() []netip.Addr {
	var out []netip.Addr
	for _, t := range d.Targets {
		out = append(out, t.Source)
	}
	return out
}
