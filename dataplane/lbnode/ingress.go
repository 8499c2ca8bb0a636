package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// northSlow handles a client packet that the mapping table alone cannot: SYNs
// and packets of unknown flows.
func (w *Worker) northSlow(b *packet.Buf, k *flow.Key, hash uint64) {
	var in packet.Info
	if st := packet.Parse(b.Bytes(), &in); st != packet.OK {
		w.drop(b, dropOf(st))
		return
	}
	e, served := w.view.endpoint(k.VIP, k.Proto, k.VIPPort)
	switch {
	case w.view.self == nil:
		w.drop(b, DropNotConfigured)
	case k.Proto == packet.ProtoUDP && k.VIPPort == wire.PortPing && e == nil:
		w.ping(b, &in)
	case k.Proto != packet.ProtoTCP && e != nil:
		w.drop(b, DropUDPEndpoint)
	case k.Proto != packet.ProtoTCP || !served && e == nil:
		w.drop(b, DropNotServed)
	case !packet.VerifyTCP(b.Bytes(), &in):
		w.drop(b, DropBadChecksum)
	case e == nil:
		w.closedPort(b, k, &in)
	case !w.view.self.Ingress:
		w.drop(b, DropRole)
	case in.TCPFlags&packet.SYN != 0:
		w.syn(b, k, hash, &in)
	case in.TCPFlags&(packet.ACK|packet.RST) == 0:
		w.drop(b, DropBadFlags)
	default:
		w.unknown(b, k, hash, &in)
	}
}

// closedPort refuses like a host on which nothing listens.
func (w *Worker) closedPort(b *packet.Buf, k *flow.Key, in *packet.Info) {
	if w.sendReset(in, k, false) {
		w.drop(b, DropNotServed)
	} else {
		w.drop(b, DropNotServedLimited)
	}
}

// syn reports a client's SYN to the primary, or, when there are too many,
// answers it with a cookie alone (S-12). A payload waits until a server can
// acknowledge it (S-17).
func (w *Worker) syn(b *packet.Buf, k *flow.Key, hash uint64, in *packet.Info) {
	if in.TCPFlags&(packet.ACK|packet.RST|packet.FIN) != 0 {
		w.drop(b, DropBadFlags)
		return
	}
	var o packet.TCPOptions
	if !packet.ParseTCPOptions(in.Options(b.Bytes()), &o) {
		w.drop(b, DropMalformed)
		return
	}
	b.Verdict = packet.Drop // consumed: the message carries what matters
	w.count.add(SynReceived, 1)
	if i, ok := w.mapped.Lookup(k, hash); ok {
		e := w.mapped.Entry(i)
		if e.ClientISN == in.Seq {
			w.count.add(DropDuplicateSyn, 1)
			return
		}
		e.Flags |= flagReopening
		e.Stamp = in.Seq
	}
	if o.MSS == 0 {
		o.MSS = 536 // RFC 9293, 3.7.1; over IPv6 1220 would be allowed, and less is safe
	}
	m := wire.Tracker{Key: *k, ClientISN: in.Seq, Seq: in.Seq, TSval: o.TSval, Window: in.Window, TCPFlags: in.TCPFlags,
		MSS: mssTable[roundMSS(min(o.MSS, clampMSS(w.cfg.FabricMTU, k.Is4())))], WScale: o.WScale,
		Options: optionBits(options{sack: o.SACKPermitted, ts: o.Timestamps}),
		Ingress: w.cfg.Self, Payload: uint16(in.PayloadLen())}
	p, s := w.view.ring.Trackers(k)
	if p == NoNode {
		w.count.add(DropNoTracker, 1)
		return
	}
	if w.now < w.busyTill || !w.floods.take(w.now) {
		w.answerCookie(&m)
		return
	}
	m.Type, m.Primary, m.Secondary = wire.MsgSyn, p, s
	w.toNode(p, &m)
}

// answerCookie sends a SYN/ACK without any state and any message.
func (w *Worker) answerCookie(m *wire.Tracker) {
	var h halfOpen
	h.take(m)
	h.serverISN = makeISN(w.cfg.Secrets.Cookie[0], &m.Key, m.ClientISN, messageOptions(m), w.seconds())
	h.tsecr = makeTSval(h.agreed(), w.milliseconds())
	w.count.add(CookieAnswered, 1)
	w.sendSynAck(&h, &m.Key)
}

// onSynBusy is the answer of a primary whose half-open table is full.
func (w *Worker) onSynBusy(m *wire.Tracker) {
	w.busyTill = w.now + busyPause
	w.answerCookie(m)
}

// onNotHere is a module's word that it does not own the flow of a packet that
// we sent it (S-20): forget, and tell the trackers.
func (w *Worker) onNotHere(m *wire.Tracker) {
	i, ok := w.mapped.Lookup(&m.Key, w.hash(&m.Key))
	if !ok {
		return
	}
	e := w.mapped.Entry(i)
	if e.Server != m.Sender {
		w.count.add(DropStaleMessage, 1)
		return
	}
	m.ClientISN, m.ServerISN, m.Server, m.Ingress = e.ClientISN, e.ServerISN, e.Server, w.cfg.Self
	w.mapped.Delete(i)
	w.count.add(MappingsPurged, 1)
	p, s := w.view.ring.Trackers(&m.Key)
	for _, node := range [2]uint16{p, s} {
		if node != NoNode {
			gone := *m
			gone.Type = wire.MsgGone
			w.toNode(node, &gone)
		}
	}
}
