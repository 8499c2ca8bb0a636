package agent

import (
	"net/netip"

	"weir/dataplane/hashring"
	"weir/dataplane/wire"
)

// peer is an LB node as the configuration names it, and what the node lists
// say of it. The fields of Node are the present ones.
type peer struct {
	Node
	may     Node // as the configuration says
	listed  bool // the lists know it: healthy, flags and Boot are their word
	healthy bool
	flags   uint8
	workers []sender
}

// sender guards against datagrams of a peer's worker coming again.
type sender struct {
	boot   uint64
	window wire.Window
}

// fresh reports whether a verified datagram of the peer is its first copy.
func (p *peer) fresh(h *wire.Header) bool {
	if n := int(h.Worker) + 1; n > len(p.workers) {
		p.workers = append(p.workers, make([]sender, n-len(p.workers))...)
	}
	s := &p.workers[h.Worker]
	if s.boot != h.Boot {
		*s = sender{boot: h.Boot}
	}
	return s.window.Fresh(h.Seq)
}

// settle joins what the configuration allows and what the lists know.
func (p *peer) settle() {
	p.Egress, p.Tracker = p.may.Egress, p.may.Tracker
	if p.listed {
		p.Egress = p.may.Egress && p.healthy && p.flags&wire.ListedEgress != 0
		p.Tracker = p.healthy && p.flags&wire.ListedTracker != 0
	}
}

// target reports whether publications may go to the peer.
func (p *peer) target() bool { return p.healthy && p.Boot != 0 }

// end is the peer as one end of a pair.
func (p *peer) end() wire.Peer {
	return wire.Peer{Role: wire.RoleNode, Number: p.Number, Boot: p.Boot}
}

// setPeers takes the nodes of a configuration. What the lists said of those
// that stay is kept.
func (c *Core) setPeers(nodes []Node) {
	old := c.nodes
	c.nodes, c.byAddr, c.peers = make(map[uint16]*peer, len(nodes)), make(map[netip.Addr]*peer, len(nodes)), nil
	changed := map[uint16]bool{}
	for _, n := range nodes {
		p := &peer{Node: n, may: n, healthy: true}
		was := old[n.Number]
		if was != nil {
			p.workers = was.workers
			if was.listed {
				p.listed, p.healthy, p.flags, p.Boot = true, was.healthy, was.flags, was.Boot
			}
		}
		p.settle()
		if was != nil && (p.Tracker != was.Tracker || p.Boot != was.Boot) {
			changed[p.Number] = true
		}
		c.nodes[p.Number], c.byAddr[p.Address] = p, p
		c.peers = append(c.peers, p)
	}
	for number := range old {
		if c.nodes[number] == nil {
			changed[number] = true
			delete(c.checkers, number)
		}
	}
	c.slots = EgressSlots(c.Nodes())
	c.peersChanged(changed)
}

// Nodes are the LB nodes as they are now: Egress is false for those that a
// checker calls unhealthy.
func (c *Core) Nodes() []Node {
	out := make([]Node, len(c.peers))
	for i, p := range c.peers {
		out[i] = p.Node
	}
	return out
}

// peersChanged computes what follows from the peers, and has the connections
// published at once that the changed ones matter to (S-43).
func (c *Core) peersChanged(changed map[uint16]bool) {
	c.targets = c.targets[:0]
	var members []hashring.Member
	for _, p := range c.peers {
		if p.target() {
			c.targets = append(c.targets, p)
		}
		if p.Tracker {
			members = append(members, hashring.Member{Number: p.Number, Seed: p.Seed})
		}
	}
	before := c.ring
	c.ring = hashring.New(members, c.cfg.Ring)
	if len(changed) > 0 && before != nil {
		c.hurry(changed, before)
	}
}
