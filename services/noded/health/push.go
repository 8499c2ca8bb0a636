package health

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"weir/dataplane/wire"
)

// pushAgain is the time between two pushes of a list that is not acknowledged.
const pushAgain = 200 * time.Millisecond

// Pusher makes the lists of nodes for the servers that this node checks and
// takes their acknowledgements (S-55). It does no I/O.
type Pusher struct {
	self    uint16
	Keys    []wire.ControlKey // the first one seals
	random  rand.Source
	seq     uint64
	version uint32 // of list; 0: there is none yet
	list    []wire.ListedNode
	servers map[uint16]*pushed
}

// pushed is what is known of one module.
type pushed struct {
	address   netip.Addr
	wanted    bool          // to be sent now
	nonce     uint64        // that it wants in the next list
	challenge uint64        // of the datagrams under way
	acked     []bool        // by part
	last      time.Duration // when it was sent
}

// NewPusher makes a pusher for a node. Keys must be set before it is used.
func NewPusher(self uint16, random rand.Source) *Pusher {
	return &Pusher{self: self, random: random, servers: map[uint16]*pushed{}}
}

// Set says what to push. A list that is another one than before goes out at once.
func (p *Pusher) Set(list []wire.ListedNode) {
	if p.version != 0 && slices.Equal(p.list, list) {
		return
	}
	p.list = list
	p.version = max(1, p.version+1) // 0 means none, also in acknowledgements
	for _, s := range p.servers {
		s.wanted = true
	}
}

// Want has the list sent to a module that this node checks.
func (p *Pusher) Want(server uint16, address netip.Addr) {
	s := p.servers[server]
	if s == nil || s.address != address {
		s = &pushed{address: address}
		p.servers[server] = s
	}
	s.wanted = true
}

// Forget ends the pushes to a module that this node no longer checks.
func (p *Pusher) Forget(server uint16) { delete(p.servers, server) }

// Due calls send with every datagram that is to be sent now.
func (p *Pusher) Due(now time.Duration, send func(d []byte, to netip.AddrPort)) {
	if p.version == 0 {
		return
	}
	parts := max(1, (len(p.list)+wire.MaxListed-1)/wire.MaxListed)
	for _, server := range slices.Sorted(maps.Keys(p.servers)) {
		s := p.servers[server]
		switch {
		case s.wanted:
			s.acked = make([]bool, parts)
		case !slices.Contains(s.acked, false) || now-s.last < pushAgain:
			continue
		}
		s.wanted, s.last, s.challenge = false, now, p.random.Uint64()
		for i := range parts {
			if !s.acked[i] {
				send(p.part(s, i, parts), netip.AddrPortFrom(s.address, wire.PortPing))
			}
		}
	}
}

// part is one datagram of a list.
func (p *Pusher) part(s *pushed, i, parts int) []byte {
	p.seq++
	nodes := p.list[i*wire.MaxListed : min(len(p.list), (i+1)*wire.MaxListed)]
	d := make([]byte, wire.PingSize+12*len(nodes))
	n := wire.PutNodeList(d, &wire.NodeList{
		Header: wire.Header{Type: wire.MsgNodeList, Role: wire.RoleNode, Sender: p.self, Seq: p.seq, KeyID: p.Keys[0].ID},
		Nonce:  s.nonce, Challenge: s.challenge, Version: p.version, Part: uint8(i), Parts: uint8(parts), Nodes: nodes,
	}, p.Keys[0].Key)
	return d[:n]
}

// Answer takes an acknowledgement that has been verified. fresh says that it
// proves the module's boot id. A list that came with a stale nonce goes out
// again at the next tick, with the one that the module has just given.
func (p *Pusher) Answer(a *wire.NodeListAck) (fresh bool) {
	s := p.servers[a.Sender]
	if s == nil || s.last == 0 || a.Challenge != s.challenge {
		return false
	}
	s.nonce = a.Nonce
	switch {
	case a.Version == p.version && int(a.Part) < len(s.acked):
		s.acked[a.Part] = true
	case a.Version == 0:
		s.wanted = true
	}
	return true
}
