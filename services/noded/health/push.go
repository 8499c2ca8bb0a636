package health

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"weir/dataplane/wire"
)

// Times between two pushes of the same list: until it is acknowledged, and then,
// so that a module that was started anew learns it too.
const (
	pushAgain = 200 * time.Millisecond
	pushFresh = time.Second
)

// pusher makes the lists of nodes for the servers that this node checks and
// takes their acknowledgements (S-55). It does no I/O.
type pusher struct {
	self    uint16
	keys    []wire.ControlKey
	random  *rand.ChaCha8
	seq     uint64
	version uint32 // of list; 0: there is none yet
	list    []wire.ListedNode
	servers map[uint16]*pushed
}

// pushed is what is known of one module.
type pushed struct {
	address   netip.Addr
	boot      uint64 // proved by its last acknowledgement
	nonce     uint64 // that it wants in the next list
	challenge uint64 // of the datagrams under way
	version   uint32 // that acked is about
	acked     []bool // by part
	last      time.Duration
	sent      bool
}

func newPusher(self uint16, random *rand.ChaCha8) *pusher {
	return &pusher{self: self, random: random, servers: map[uint16]*pushed{}}
}

// set says what to push, and to whom.
func (p *pusher) set(list []wire.ListedNode, to map[uint16]netip.Addr) {
	if p.version == 0 || !slices.Equal(p.list, list) {
		p.list = slices.Clone(list)
		p.version = max(1, p.version+1)
	}
	for n, s := range p.servers {
		if to[n] != s.address {
			delete(p.servers, n)
		}
	}
	for n, a := range to {
		if p.servers[n] == nil {
			p.servers[n] = &pushed{address: a}
		}
	}
}

// due calls send with every datagram that is to be sent now.
func (p *pusher) due(now time.Duration, send func(d []byte, to netip.AddrPort)) {
	if p.version == 0 {
		return
	}
	parts := max(1, (len(p.list)+wire.MaxListed-1)/wire.MaxListed)
	for _, s := range p.servers {
		if s.version != p.version {
			s.version, s.acked, s.sent = p.version, make([]bool, parts), false
		}
		complete := !slices.Contains(s.acked, false)
		if s.sent && now-s.last < pushAgain || s.sent && complete && now-s.last < pushFresh {
			continue
		}
		if complete {
			clear(s.acked)
		}
		s.challenge = p.random.Uint64()
		p.push(now, s, parts, send)
	}
}

// push sends the parts that are not acknowledged.
func (p *pusher) push(now time.Duration, s *pushed, parts int, send func(d []byte, to netip.AddrPort)) {
	s.last, s.sent = now, true
	key := &p.keys[0]
	for i := range parts {
		if s.acked[i] {
			continue
		}
		p.seq++
		part := p.list[i*wire.MaxListed : min(len(p.list), (i+1)*wire.MaxListed)]
		d := make([]byte, wire.PingSize+12*len(part))
		n := wire.PutNodeList(d, &wire.NodeList{
			Header: wire.Header{Type: wire.MsgNodeList, Role: wire.RoleNode, Sender: p.self, Seq: p.seq, KeyID: key.ID},
			Nonce:  s.nonce, Challenge: s.challenge, Version: p.version, Part: uint8(i), Parts: uint8(parts), Nodes: part,
		}, key.Key)
		send(d[:n], netip.AddrPortFrom(s.address, wire.PortPing))
	}
}

// answer takes an acknowledgement that has been verified. fresh says that it
// proves the module's boot id; again, that the list is to be sent at once, with
// the nonce that the module has just given.
func (p *pusher) answer(a *wire.NodeListAck) (boot uint64, fresh, again bool) {
	s := p.servers[a.Sender]
	if s == nil || a.Role != wire.RoleServer || a.Challenge != s.challenge || !s.sent {
		return 0, false, false
	}
	s.boot, s.nonce = a.Boot, a.Nonce
	if a.Version == s.version && int(a.Part) < len(s.acked) {
		s.acked[a.Part] = true
		return a.Boot, true, false
	}
	if a.Version == 0 {
		s.sent = false
		return a.Boot, true, true
	}
	return a.Boot, true, false
}
