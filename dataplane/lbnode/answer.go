package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// sendSynAck answers a client's SYN on the way north (S-13). The window is what
// an ingress may hold for the flow; the MSS is clamped so that the client's
// full segments, encapsulated, fit the fabric.
func (w *Worker) sendSynAck(h *halfOpen, k *flow.Key) {
	o := packet.TCPOptions{MSS: clampMSS(w.cfg.FabricMTU, k.Is4()), WScale: packet.NoWScale,
		SACKPermitted: h.options&wire.OptSACK != 0}
	if h.wscale != wire.NoWScale {
		o.WScale = w.cfg.WScale
	}
	if h.options&wire.OptTimestamps != 0 {
		o.Timestamps, o.TSval, o.TSecr = true, h.tsecr, h.tsval
	}
	w.sendTCP(k, &packet.TCPSpec{Seq: h.serverISN, Ack: h.clientISN + 1, Flags: packet.SYN | packet.ACK,
		Window: uint16(min(w.cfg.HoldBytes, 65535)), Options: &o}, SynAckSent)
}

// sendTCP builds a bare segment from the flow's public address to its client.
func (w *Worker) sendTCP(k *flow.Key, t *packet.TCPSpec, what Counter) {
	b, ok := w.io.Alloc()
	if !ok {
		w.count.add(DropNoBuffer, 1)
		return
	}
	t.Src, t.Dst, t.SrcPort, t.DstPort = k.VIP, k.Client, k.VIPPort, k.ClientPort
	b.Resize(packet.EthernetSize + packet.IPv6Size + packet.TCPSize + 40)
	b.Resize(uint16(packet.BuildTCP(b.Bytes(), t)))
	w.sendNorth(b, k, what)
}

// sendReset answers the segment in with a RST (RFC 9293, 3.10.7.1): always
// when a cookie proves that its sender is real, else as often as the rate allows.
func (w *Worker) sendReset(in *packet.Info, k *flow.Key, proven bool) bool {
	if in.TCPFlags&packet.RST != 0 || !proven && !w.resets.take(w.now) {
		return false
	}
	b, ok := w.io.Alloc()
	if !ok {
		w.count.add(DropNoBuffer, 1)
		return false
	}
	b.Resize(packet.EthernetSize + packet.IPv6Size + packet.TCPSize)
	b.Resize(uint16(packet.BuildRST(b.Bytes(), in, [6]byte{}, [6]byte{})))
	w.sendNorth(b, k, ResetsSent)
	return true
}

// cannotReach handles a packet whose server has no next hop, or is dead.
func (w *Worker) cannotReach(b *packet.Buf, k *flow.Key, server uint16) {
	if s := w.view.server(server); s != nil && s.Dead {
		w.resetDead(b, k)
		b.Verdict = packet.Drop
		return
	}
	w.drop(b, DropNoNextHop)
}

// heardFor is how long a server's word for a connection shows that it lives,
// in ticks: the silence after which it is dead (S-58).
const heardFor = 30

// justHeard reports whether the server of a mapping accepted or published it so
// lately that it cannot be dead: this node has not heard yet that it is back.
func (w *Worker) justHeard(e *flow.Entry) bool { return w.tick32()-e.Renewed < heardFor }

// usable reports whether a mapping's server is only held for dead, and its next hop known.
func (w *Worker) usable(s *serverView, e *flow.Entry) bool { return s.resolved && w.justHeard(e) }

// resetDead tells a client that its server is no more (S-58). The mapping stays
// until its lease ends, should the server come back.
func (w *Worker) resetDead(b *packet.Buf, k *flow.Key) {
	var in packet.Info
	if packet.Parse(b.Bytes(), &in) == packet.OK {
		w.sendReset(&in, k, false)
	}
	w.count.add(DropServerDead, 1)
}

func (w *Worker) sendNorth(b packet.Buf, k *flow.Key, what Counter) {
	w.toRouter(&b, k)
	if b.Verdict != packet.Send {
		w.io.Free(b)
		return
	}
	w.count.add(what, 1)
	w.io.Send(b)
}
