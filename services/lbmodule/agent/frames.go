package agent

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// Frame handles an Ethernet frame that the server's kernel sent from a public
// address and that the data path did not take: its side of handshakes, and
// resets of what nobody owns, which go no further. Checksums may be partial.
func (c *Core) Frame(now int64, frame []byte) {
	var in packet.Info
	if packet.Parse(frame, &in) != packet.OK || in.Proto != packet.ProtoTCP {
		c.counters.BadFrames++
		return
	}
	var k flow.Key
	in.ReverseKey(&k)
	h := c.handshakes[k]
	synAck := in.TCPFlags&(packet.SYN|packet.ACK|packet.RST) == packet.SYN|packet.ACK
	switch {
	case h != nil && h.answer:
		if synAck {
			c.counters.SynAckRepeated++ // its last ACK waits for the commit
		}
	case h != nil && synAck:
		var opts packet.TCPOptions
		packet.ParseTCPOptions(in.Options(frame), &opts)
		c.synAck(now, h, &in, &opts)
	case h != nil && in.TCPFlags&packet.RST != 0:
		c.reject(now, h, wire.RejectRST)
	case h != nil:
		// A bare ACK: what holds the tuple, in TIME_WAIT say, refuses this SYN (RFC 6191).
		c.reject(now, h, wire.RejectTuple)
	case synAck:
		c.lateSynAck(&k, &in)
	default:
		c.counters.StrayFrames++
	}
}

// lateSynAck answers a repeated SYN/ACK of a connection that is past its
// handshake: the kernel missed the last ACK, or dropped it because the accept
// queue was full (S-27). One of no connection at all is ended.
func (c *Core) lateSynAck(k *flow.Key, in *packet.Info) {
	f, ok := c.flows.Get(k)
	switch {
	case !ok:
		c.counters.StrayFrames++
		c.injectRST(k, in.Ack)
	case f.KernelISN() == in.Seq && f.Flags&FlagSpoken == 0:
		c.counters.SynAckRepeated++
		c.injectACK(k, &f, Plain)
	default:
		c.counters.StrayFrames++
	}
}

func spec(k *flow.Key) packet.TCPSpec {
	return packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.Client, Dst: k.VIP}, SrcPort: k.ClientPort, DstPort: k.VIPPort}
}

// injectSYN is the client's SYN as an offer describes it. MD5, AO, Fast Open,
// MPTCP and ECN are absent (S-13).
func (c *Core) injectSYN(m *wire.Tracker) {
	s := spec(&m.Key)
	s.Seq, s.Flags = m.ClientISN, packet.SYN
	s.Window = synWindow(m)
	s.Options = &packet.TCPOptions{
		MSS: m.MSS, WScale: m.WScale, SACKPermitted: m.Options&wire.OptSACK != 0,
		Timestamps: m.Options&wire.OptTimestamps != 0, TSval: m.TSval,
	}
	c.inject(&s, Plain)
}

// synWindow is the window of the client's ACK without its scale: that of a SYN never has one (RFC 7323, 2.2).
func synWindow(m *wire.Tracker) uint16 {
	w := uint64(m.Window)
	if m.WScale != wire.NoWScale {
		w <<= min(m.WScale, 14)
	}
	return uint16(min(w, 65535))
}

// injectACK is the last segment of the kernel's handshake. It echoes no
// timestamp, so that the kernel does not measure our distance (see synAck).
func (c *Core) injectACK(k *flow.Key, f *Flow, kind InjectKind) {
	s := spec(k)
	s.Seq, s.Ack, s.Flags, s.Window = f.ClientISN+1, f.KernelISN()+1, packet.ACK, f.Window
	if f.Options&wire.OptTimestamps != 0 {
		s.Options = &packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSval: f.ClientTSval}
	}
	c.inject(&s, kind)
}

// injectRST ends the kernel's side of a connection silently.
func (c *Core) injectRST(k *flow.Key, seq uint32) {
	s := spec(k)
	s.Seq, s.Flags = seq, packet.RST
	c.inject(&s, Plain)
}

func (c *Core) inject(s *packet.TCPSpec, kind InjectKind) {
	if n := packet.BuildTCP(c.scratch[:], s); n > 0 {
		c.out.Inject(c.scratch[:n], kind)
	}
}
