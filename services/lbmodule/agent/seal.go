package agent

import (
	"net/netip"

	"weir/dataplane/wire"
)

// self is this module as one end of a pair.
func (c *Core) self() wire.Peer {
	return wire.Peer{Role: wire.RoleServer, Number: c.cfg.Server, Boot: c.cfg.Boot}
}

// header completes a header and moves the sequence number on. It rises over
// restarts of the agent, which begins with the microseconds since the machine
// was started: the boot id stays, because the connections do (S-26).
func (c *Core) header(h *wire.Header, typ uint8) {
	c.seq++
	*h = wire.Header{Type: typ, Role: wire.RoleServer, Sender: c.cfg.Server, Boot: c.cfg.Boot, Seq: c.seq, Epoch: h.Epoch, KeyID: c.cfg.Keys[0].ID}
}

// pairKey is the key of datagrams to one life of a node (S-113).
func (c *Core) pairKey(p *peer) wire.Key {
	return wire.PairKey(c.cfg.Keys[0].Key, c.self(), p.end())
}

// Datagram handles a control datagram that came to this server. d is only used
// during the call.
func (c *Core) Datagram(now int64, src netip.AddrPort, d []byte) {
	var h wire.Header
	if wire.ReadHeader(d, &h) != nil {
		c.counters.BadMessage++
		return
	}
	c.now = now
	p := c.nodes[h.Sender]
	if h.Role != wire.RoleNode || p == nil || p.Address != src.Addr().Unmap() {
		c.counters.UnknownSender++
		return
	}
	key, ok := wire.FindKey(c.cfg.Keys, h.KeyID)
	if !ok {
		c.counters.NotAuthentic++
		return
	}
	if h.Type == wire.MsgNodeList {
		c.nodeList(src, p, d, &h, key)
		return
	}
	if h.Boot != p.Boot || p.Boot == 0 {
		c.counters.StaleBoot++ // of a life that is over, or that no list told of yet
		return
	}
	if wire.Verify(d, wire.PairKey(key, p.end(), c.self())) != nil {
		c.counters.NotAuthentic++
		return
	}
	m := wire.Tracker{Header: h}
	switch {
	case wire.DecodeTracker(d, &m) != nil:
		c.counters.BadMessage++
	case !p.fresh(&h):
		c.counters.Replayed++
	default:
		c.message(now, &m)
	}
}

// send completes and sends a tracker message.
func (c *Core) send(p *peer, typ uint8, m *wire.Tracker) {
	if p.Boot == 0 {
		c.counters.NotIntroduced++
		return
	}
	c.header(&m.Header, typ)
	m.Server = c.cfg.Server
	d := c.buffer[:wire.TrackerSize]
	wire.PutTracker(d, m, c.pairKey(p))
	c.out.Send(wire.PortTracker, netip.AddrPortFrom(p.Address, wire.PortTracker), d)
}
