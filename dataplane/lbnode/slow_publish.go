package lbnode

import (
	"encoding/binary"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// SlowIO is how the slow worker gets and gives up frames.
type SlowIO interface {
	IO
	// Hand gives a frame to a fast worker of this node, which gets it with Port
	// Inside in a later burst.
	Hand(worker int, b packet.Buf)
}

// publishing is the slow worker's part in it (S-41): what modules say it splits
// by target, its own share by worker; what nodes say is its own share already.
type publishing struct {
	io       SlowIO
	cfg      *Config
	view     *view
	steering *Steering
	seq      uint64
	workers  []share     // own shares
	nodes    []*share    // by number; nil: no such node
	waiting  int         // shares of nodes that hold something
	from     [2]sessions // by role
	heard    seenTicks   // publications of servers
}

func newPublishing(io SlowIO, workers int) publishing {
	return publishing{io: io, workers: make([]share, workers), view: &view{}}
}

func (p *publishing) setConfig(c *Config) {
	p.cfg, p.view = c, c.view
	if p.view == nil {
		p.view = &view{}
	}
	p.steering = NewSteering(c, len(p.workers))
	old := p.nodes
	p.nodes, p.waiting = make([]*share, len(p.view.nodes)), 0
	for i, n := range p.view.nodes {
		switch {
		case n == nil || n.Number == c.Self:
		case i < len(old) && old[i] != nil:
			p.nodes[i] = old[i]
			if old[i].Len() > 0 {
				p.waiting++
			}
		default:
			p.nodes[i] = new(share)
		}
		if p.nodes[i] != nil {
			p.nodes[i].Max = int(c.FabricMTU) - packet.TunnelOverhead
		}
	}
	p.heard.grow(len(p.view.servers))
}

// ServerSeen is the tick in which a publication of a server last came; 0:
// never. Anybody may ask.
func (s *Slow) ServerSeen(number uint16) uint32 { return s.publish.heard.last(number) }

// isPublication reports whether a frame is a datagram to one of the ports of
// publications.
func isPublication(b *packet.Buf) bool {
	const ip, udp = packet.EthernetSize, packet.EthernetSize + packet.IPv4Size
	f := b.Bytes()
	if b.Port != packet.South || len(f) < udp+packet.UDPSize || binary.BigEndian.Uint16(f[12:]) != packet.EtherTypeIPv4 ||
		f[ip] != 0x45 || f[ip+9] != packet.ProtoUDP {
		return false
	}
	port := binary.BigEndian.Uint16(f[udp+2:])
	return port == wire.PortPublish || port == wire.PortPublished
}

// publication handles a frame for which isPublication holds. What it returns is
// counted.
func (s *Slow) publication(now int64, b *packet.Buf) Counter {
	p := &s.publish
	var in packet.Info
	if st := packet.Parse(b.Bytes(), &in); st != packet.OK {
		return dropOf(st)
	}
	if p.view.self == nil || in.Dst != p.view.selfSouth || in.IsV6 {
		return DropNotForUs
	}
	d := b.Bytes()[in.Payload:in.End]
	var h wire.Header
	if why := p.open(d, &h, [4]byte(in.Src[12:]), in.DstPort); why != PublicationsReceived {
		return why
	}
	r, err := wire.ReadPublications(d)
	if err != nil {
		return DropBadMessage
	}
	s.split(now, &h, &r)
	return PublicationsReceived
}

// open verifies a datagram: its sender is who the outer address says, sealed it
// for this life of both of us, and never sent it before (S-113). The answer is
// PublicationsReceived or why not.
func (p *publishing) open(d []byte, h *wire.Header, src [4]byte, port uint16) Counter {
	if wire.ReadHeader(d, h) != nil {
		return DropBadMessage
	}
	var keys *pairKeys
	var boot uint64
	switch {
	case port == wire.PortPublish && h.Type == wire.MsgPublish && h.Role == wire.RoleServer,
		port == wire.PortPublished && h.Type == wire.MsgPublished && h.Role == wire.RoleNode && h.Sender != p.cfg.Self:
		keys, boot = p.view.sender(h, src)
	default:
		return DropBadMessage
	}
	switch {
	case keys == nil:
		return DropStranger
	case h.Boot != boot:
		return DropStaleBoot
	}
	if k, ok := wire.FindKey(keys.open, h.KeyID); !ok || wire.Verify(d, k) != nil {
		return DropBadTag
	}
	if !p.from[h.Role].fresh(h, boot) {
		return DropReplayed
	}
	return PublicationsReceived
}

// split gives every entry to whom it concerns: the ingress that it names and
// the flow's trackers. From a node everything is for this one.
func (s *Slow) split(now int64, h *wire.Header, r *wire.PublicationReader) {
	p := &s.publish
	var e wire.Publication
	for r.Next(&e) {
		if h.Role == wire.RoleNode {
			p.heard.mark(e.Server, uint32(now/int64(Tick)))
			s.keep(&e)
			continue
		}
		if e.Server != h.Sender {
			s.count.add(DropBadMessage, 1) // a module speaks for itself only
			return
		}
		p.heard.mark(e.Server, uint32(now/int64(Tick)))
		if !p.view.server(e.Server).mayUse(&e.Key) {
			s.count.add(DropNotPublic, 1) // and of its own endpoints
			continue
		}
		first, second := p.view.ring.Trackers(&e.Key)
		targets := [3]uint16{e.Ingress, first, second}
		for i, to := range targets {
			if to == NoNode || i > 0 && to == targets[0] || i > 1 && to == targets[1] {
				continue
			}
			if to == p.cfg.Self {
				s.keep(&e)
			} else {
				s.forward(now, to, &e)
			}
		}
	}
	for i := range p.workers {
		s.hand(i)
	}
}
