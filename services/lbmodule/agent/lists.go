package agent

import (
	"net/netip"
	"slices"

	"weir/dataplane/wire"
)

// listLife is how long the word of a checker counts, in ns. When no list is
// that young, the last state stays.
const listLife = 3e9

// checker is what is known of one node that pushes lists to this server (S-55).
type checker struct {
	nonce, last uint64 // that its next list must carry, and its last one carried
	version     uint32 // of the list in hand
	parts       []bool // of that list: which have come
	building    []wire.ListedNode
	list        []wire.ListedNode // complete
	at          int64             // when it was; 0: never
}

// nodeList takes a list of the healthy nodes, or a part of it. It must carry
// the nonce of the last answer, so that none counts twice (S-113).
func (c *Core) nodeList(src netip.AddrPort, p *peer, d []byte, h *wire.Header, key wire.Key) {
	if wire.Verify(d, key) != nil {
		c.counters.NotAuthentic++
		return
	}
	l := wire.NodeList{Nodes: c.listed}
	if wire.GetNodeList(d, h, &l) != nil {
		c.counters.BadMessage++
		return
	}
	c.listed = l.Nodes
	from := c.checkers[p.Number]
	if from == nil {
		from = &checker{}
		c.checkers[p.Number] = from
	}
	version := l.Version
	switch {
	case from.nonce != 0 && l.Nonce == from.nonce:
		if from.take(&l) {
			from.at = c.now
			c.counters.ListsTaken++
			c.renewNonce(from)
			c.merge()
		}
	case from.last != 0 && l.Nonce == from.last && l.Version == from.version:
		// A copy; the answer was lost.
	default:
		c.counters.ListsStale++
		c.renewNonce(from)
		version = 0
	}
	a := wire.NodeListAck{Challenge: l.Challenge, Nonce: from.nonce, Version: version, Part: l.Part}
	c.header(&a.Header, wire.MsgNodeListAck)
	wire.PutNodeListAck(c.buffer[:], &a, c.cfg.Keys[0].Key)
	c.out.Send(wire.PortPing, src, c.buffer[:wire.PingSize])
}

// renewNonce makes a nonce that nobody can know before and that never comes again.
func (c *Core) renewNonce(k *checker) {
	c.seq++
	secret := wire.PairKey(c.cfg.Keys[0].Key, c.self(), wire.Peer{Role: wire.RoleServer, Number: c.cfg.Server, Boot: c.seq})
	k.last, k.nonce = k.nonce, max(secret.K0, 1)
}

// take adds a part and reports whether the list is complete with it.
func (k *checker) take(l *wire.NodeList) bool {
	if l.Version != k.version || len(k.parts) != int(l.Parts) {
		k.version, k.parts, k.building = l.Version, make([]bool, l.Parts), k.building[:0]
	}
	if !k.parts[l.Part] {
		k.parts[l.Part] = true
		k.building = append(k.building, l.Nodes...)
	}
	if slices.Contains(k.parts, false) {
		return false
	}
	k.list, k.building, k.parts = k.building, k.list[:0], nil
	return true
}

// standing is what the fresh lists say of one node together.
type standing struct {
	known, unhealthy bool
	flags            uint8
	boot             uint64
	at               int64 // of the list that flags and boot are from
}

// merge makes one state of all fresh lists: a node is unhealthy when one of
// them says so; everything else the newest says. A list without any healthy
// node is of somebody who sees nothing, and does not count.
func (c *Core) merge() {
	all := make(map[uint16]*standing, len(c.peers))
	for _, k := range c.checkers {
		if k.at == 0 || c.now-k.at >= listLife || !slices.ContainsFunc(k.list, healthy) {
			continue
		}
		for i := range k.list {
			n := &k.list[i]
			s := all[n.Number]
			if s == nil {
				s = &standing{}
				all[n.Number] = s
			}
			s.unhealthy = s.unhealthy || !healthy(*n)
			if !s.known || k.at > s.at {
				s.known, s.flags, s.at = true, n.Flags, k.at
				if n.Boot != 0 {
					s.boot = n.Boot
				}
			}
		}
	}
	c.apply(all)
}

func healthy(n wire.ListedNode) bool { return n.Flags&wire.ListedHealthy != 0 }

// apply puts a merged state in force: first the data path, whose replies must
// not go to a dead node (S-75).
func (c *Core) apply(all map[uint16]*standing) {
	var moved []Node
	different, changed := false, map[uint16]bool{}
	for _, p := range c.peers {
		s := all[p.Number]
		if s == nil {
			continue
		}
		was, target, introduced := p.Node, p.target(), p.listed
		p.listed, p.healthy, p.flags = true, !s.unhealthy, s.flags
		if s.boot != 0 {
			p.Boot = s.boot
		}
		p.settle()
		if p.Egress != was.Egress {
			moved = append(moved, p.Node)
		}
		if p.Tracker != was.Tracker || p.Boot != was.Boot || p.target() != target {
			different = true
			if introduced || was.Boot != 0 { // to hear of a node for the first time is no change
				changed[p.Number] = true
			}
		}
	}
	if len(moved) > 0 {
		c.counters.EgressChanged++
		c.out.Route(moved, c.moveSlots())
	}
	if different {
		c.peersChanged(changed)
	}
}
