package config

import (
	"fmt"
	"net/netip"
	"slices"

	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
)

// protoTCP is TCP's IP protocol number.
const protoTCP = 6

// LBNode is what the roles of one node need to know, as far as the cluster file
// says it. The caller adds what only the machine knows: MACs, routers, boot id,
// clock. An unhealthy node stays in the list without roles: what it still sends
// comes from a known address. view is what membership knows; without one,
// everything is as the file says.
func LBNode(c *Cluster, nodeID string, view *View) (lbnode.Config, error) {
	self := c.Member(nodeID)
	if self == nil {
		return lbnode.Config{}, fmt.Errorf("node %q is not in cluster %s; add it to the list nodes of the cluster file", nodeID, c.Identity.Name)
	}
	if view == nil {
		view = static(c)
	}
	out := lbnode.Config{
		Self:      self.Number,
		Secrets:   c.Keys.Secrets(nodeID),
		FabricMTU: uint16(c.FabricMTU),
		WScale:    uint8(c.Handshake.WindowScale),
		HoldBytes: uint32(c.Handshake.HoldBytes),
		HoldPkts:  uint16(c.Handshake.HoldPackets),
		Lease:     uint32(c.Publishing.Lease / lbnode.Tick),
		Settled:   view.Settled,
	}
	out.Addresses[packet.North] = self.NorthAddresses()
	out.Addresses[packet.South] = []netip.Addr{self.South}
	var ring []RingMember
	for i := range c.Nodes {
		m := &c.Nodes[i]
		state := view.Nodes[m.Number]
		n := lbnode.Node{
			Number:  m.Number,
			ID:      m.ID,
			Boot:    state.Boot,
			North:   m.North,
			South:   m.South,
			Tracker: m.Healthy && state.Track && m.Has(RoleTracker),
			Ingress: m.Healthy && m.Has(RoleIngress),
			Egress:  m.Healthy && m.Has(RoleEgress),
			Seed:    m.Seed(),
		}
		if n.Tracker {
			ring = append(ring, RingMember{n.Number, n.Boot})
		}
		out.Nodes = append(out.Nodes, n)
	}
	out.Epoch = RingEpoch(ring)
	for _, s := range c.Servers {
		state := view.Servers[s.Number]
		out.Servers = append(out.Servers, lbnode.Server{
			Number: s.Number, ID: s.ID, Address: s.Address, Weight: uint32(s.Weight),
			Boot: state.Boot, Healthy: s.Healthy && state.Healthy, Dead: state.Dead, Seed: placeSeed("server", s.ID),
		})
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		p := lbnode.Endpoint{
			Name:       e.Name,
			Addresses:  slices.Clone(e.Addresses),
			Proto:      protoTCP,
			PortFirst:  e.Ports.First,
			PortLast:   e.Ports.Last,
			TTL:        uint8(e.Offers),
			MustAccept: e.WhenExhausted == ExhaustedLastAccepts,
			TryAll:     e.WhenAllUnhealthy == UnhealthyTryAll,
		}
		for _, s := range c.Servers {
			if e.Serves(s.ID) {
				p.Servers = append(p.Servers, s.Number)
			}
		}
		out.Endpoints = append(out.Endpoints, p)
	}
	return out, nil
}

// NorthAddresses are all addresses of a node's north interface.
func (m *Member) NorthAddresses() []netip.Addr {
	var out []netip.Addr
	for _, a := range []netip.Addr{m.North, m.North6, m.Slots.Left, m.Slots.Right} {
		if a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}
