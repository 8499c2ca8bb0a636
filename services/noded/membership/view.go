package membership

import (
	"slices"

	"weir/dataplane/wire"
	"weir/services/config"
)

// View is what membership knows, for those who act on it.
type View struct {
	Version      uint64 // rises with every change
	NodesVersion uint64 // … of Nodes
	Learned      bool   // false: this node has just started and does not know the others yet; nothing follows from this view
	Settled      bool   // the ring has been the same for longer than a lease (S-58)
	Isolated     bool   // this node is cut off, or held for dead by others: it closes its BGP sessions and tells servers nothing (S-62)
	Drained      bool   // this node has left (S-64)
	Epoch        uint32 // of the ring
	Nodes        []NodeView
	Servers      []ServerView
	Announced    []Announcement
}

// Announcement is a node that another one, or itself, announces to all routers.
// Who announces says so.
type Announcement struct{ Node, By uint16 }

// NodeView is a node. This node itself is healthy.
type NodeView struct {
	Number   uint16
	State    State
	Boot     uint64 // of its dataplane; 0: not known
	Track    bool   // healthy and in the ring, as far as its roles allow
	Speak    bool   // healthy, and opens BGP sessions for its neighbours
	Announce bool   // healthy, and its neighbours announce it (S-60)
	Egress   bool   // healthy, and may carry replies
	Leaving  bool
}

// ServerView is a server.
type ServerView struct {
	Number  uint16
	Boot    uint64 // of its module; 0: not known
	Healthy bool   // gets offers
	Dead    bool   // its connections are reset when clients send (S-58)
	Mine    bool   // this node is one of its two checkers
}

// View is the present view. It is not changed any more.
func (c *Core) View() View {
	c.refresh()
	return c.view
}

// Flags are this node's own flags, wire.Node…, and the boot id that they belong to.
func (c *Core) Flags() (boot uint64, flags uint8) { return c.own.record.Boot, c.own.record.Flags }

func nodeView(number uint16, state State, boot uint64, flags uint8) NodeView {
	well := state == StateHealthy
	has := func(f uint8) bool { return well && flags&f != 0 }
	return NodeView{Number: number, State: state, Boot: boot, Track: has(wire.NodeTrack), Speak: has(wire.NodeSpeak),
		Announce: has(wire.NodeAnnounce), Egress: has(wire.NodeTrack), Leaving: flags&wire.NodeLeaving != 0}
}

// refresh makes the view anew if something may have changed.
func (c *Core) refresh() {
	if settled := c.settled(); settled != c.view.Settled {
		c.dirty = true
	}
	if !c.dirty {
		return
	}
	c.dirty = false
	c.share()
	v := View{Version: c.view.Version, NodesVersion: c.view.NodesVersion, Learned: c.learn.done, Isolated: c.isolation.on, Drained: c.own.drained}
	var ring []config.RingMember
	for _, n := range c.cfg.Nodes {
		var nv NodeView
		announces := c.own.record.Announces
		if n.Number == c.cfg.Self {
			nv = nodeView(n.Number, StateHealthy, c.own.record.Boot, c.own.record.Flags)
		} else {
			p := c.byNum[n.Number]
			nv = nodeView(n.Number, p.state, p.boot, p.record.Flags)
			announces = p.record.Announces
		}
		for _, a := range announces {
			if a != 0 && nv.State == StateHealthy {
				v.Announced = append(v.Announced, Announcement{Node: a, By: n.Number})
			}
		}
		v.Nodes = append(v.Nodes, nv)
		if nv.Track && n.Tracker {
			ring = append(ring, config.RingMember{Number: n.Number, Boot: nv.Boot})
		}
	}
	for _, s := range c.servers {
		v.Servers = append(v.Servers, ServerView{Number: s.number, Boot: s.boot, Healthy: s.healthy, Dead: s.dead, Mine: s.mine})
	}
	v.Epoch = config.RingEpoch(ring)
	if v.Epoch != c.view.Epoch {
		c.ringSince = c.now
	}
	old := c.view
	nodes := !slices.Equal(old.Nodes, v.Nodes)
	if nodes {
		v.NodesVersion++
	}
	c.view.Epoch = v.Epoch
	v.Settled = c.settled()
	if nodes || !slices.Equal(old.Servers, v.Servers) || !slices.Equal(old.Announced, v.Announced) || old.Learned != v.Learned || old.Settled != v.Settled ||
		old.Isolated != v.Isolated || old.Drained != v.Drained {
		v.Version++
	}
	c.view = v
}

// settled reports that the ring stood for longer than a lease.
func (c *Core) settled() bool {
	return c.running && c.learn.done && !c.isolation.on && c.now-c.ringSince > c.cfg.Lease
}

// Speaks reports whether a node opens sessions for its neighbours.
func (v *View) Speaks(number uint16) bool {
	return slices.ContainsFunc(v.Nodes, func(n NodeView) bool { return n.Number == number && n.Speak })
}

// ForConfig is the view as configurations are made of. Of a node that does not
// know the others yet nothing follows for them, nor of one that is cut off: it
// would be a ring of its own and give connections a second server.
func (v *View) ForConfig() *config.View {
	out := &config.View{Nodes: map[uint16]config.NodeState{}, Servers: map[uint16]config.ServerState{}, Settled: v.Settled}
	for _, m := range v.Nodes {
		s := config.NodeState{Boot: m.Boot}
		if v.Learned && !v.Isolated {
			s.Track, s.Announce, s.Egress = m.Track, m.Announce, m.Egress
		}
		out.Nodes[m.Number] = s
	}
	for _, s := range v.Servers {
		out.Servers[s.Number] = config.ServerState{Boot: s.Boot, Healthy: s.Healthy, Dead: s.Dead}
	}
	return out
}
