package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// pending is a flow whose mapping an ingress has asked for.
type pending struct {
	query    wire.Tracker // repeated until answered
	packets  heldList
	deadline int64 // ns
	heard    int64 // ns: when the client last sent what the query says
	tries    uint8
	vouched  bool  // a cookie stands behind one of its packets
	denied   uint8 // which trackers do not know it: 1 primary, 2 secondary
}

const (
	firstQuery   = 20e6  // ns until the secondary is asked (S-71), then doubling
	longestQuery = 500e6 // ns
	queryLife    = 32e9  // ns; longer than the offers of one connection may take
	unvouchedFor = 1e9   // ns, when no cookie vouches for it
	heldLong     = 1e9   // ns; what the client does not repeat in that time may be of the past
)

// unknown holds a packet of a flow without a mapping and asks the trackers.
// Anybody can send such packets: those that no cookie vouches for are limited in
// rate and get no more than three quarters of the table.
func (w *Worker) unknown(b *packet.Buf, k *flow.Key, hash uint64, in *packet.Info) {
	var o packet.TCPOptions
	packet.ParseTCPOptions(in.Options(b.Bytes()), &o)
	vouched := false
	if in.TCPFlags&packet.RST == 0 { // a reset asks for no connection, but must reach one that is there
		_, vouched = checkCookie(w.cfg.Secrets.Cookie, k, in.Seq-1, in.Ack-1, o.Timestamps, o.TSecr, w.seconds())
	}
	i, known := w.pending.Lookup(k, hash)
	if !known {
		switch {
		case !vouched && !w.unknowns.take(w.now):
			w.drop(b, DropUnknownLimited)
			return
		case w.pending.Len() >= w.pending.Cap() || !vouched && w.pending.Len() >= w.pending.Cap()/4*3:
			w.drop(b, DropPendingFull)
			return
		}
		i, _ = w.pending.Insert(k, hash, 0)
		w.pendingState[i] = pending{packets: emptyList}
	}
	p := &w.pendingState[i]
	same := p.query.Seq == in.Seq && p.query.Ack == in.Ack
	if known && vouched && p.vouched && !same {
		w.count.add(DropStaleMessage, w.dropHeld(p)) // of the tuple's last life
		p.vouched = false
	}
	if !w.hold(p, b, vouched) {
		if !known {
			w.removePending(i)
		}
		return
	}
	if known && (p.vouched || !vouched) {
		if vouched {
			p.heard = w.now
		}
		return // asked already, and this packet proves no more than the first
	}
	p.vouched, p.tries, p.denied = vouched, 0, 0
	p.deadline, p.heard = w.now+unvouchedFor, w.now
	if vouched {
		p.deadline = w.now + queryLife
	}
	p.query = wire.Tracker{Key: *k, Seq: in.Seq, Ack: in.Ack, TSval: o.TSval, TSecr: o.TSecr, Window: in.Window,
		WScale: wire.NoWScale, Options: optionBits(options{ts: o.Timestamps}), TCPFlags: in.TCPFlags,
		Ingress: w.cfg.Self, Payload: uint16(in.PayloadLen())}
	w.ask(i, p)
}

// hold keeps a packet in order, within the bounds of the flow and of the node.
// The last quarter of the node's is for flows that a cookie vouches for.
func (w *Worker) hold(p *pending, b *packet.Buf, vouched bool) bool {
	if !vouched && !p.vouched && w.held.used >= len(w.held.slots)/4*3 ||
		p.packets.packets >= w.cfg.HoldPkts || p.packets.bytes+uint32(b.Len) > w.cfg.HoldBytes+uint32(w.cfg.HoldPkts)*maxHeaders ||
		!w.held.push(&p.packets, *b) {
		w.drop(b, DropHoldFull)
		return false
	}
	b.Verdict = packet.Held
	w.count.add(IngressHeld, 1)
	return true
}

// ask sends the query: to the primary first, then to both in turn.
func (w *Worker) ask(i uint32, p *pending) {
	first, second := w.view.ring.Trackers(&p.query.Key)
	if first == NoNode {
		w.giveUp(i, DropNoTracker)
		return
	}
	to := first
	if p.tries&1 == 1 && second != NoNode {
		to = second
	}
	w.pendingTimers.schedule(i, min(w.now+min(int64(firstQuery)<<min(p.tries, 10), longestQuery), p.deadline))
	if p.tries < 255 {
		p.tries++
	}
	m := p.query
	m.Type, m.Primary, m.Secondary = wire.MsgQuery, first, second
	if w.now-p.heard > heldLong {
		m.Options |= wire.OptHeld
	}
	w.count.add(QueriesSent, 1)
	w.toNode(to, &m)
}

func (w *Worker) onPendingTimer(i uint32) {
	p := &w.pendingState[i]
	if w.now >= p.deadline {
		w.giveUp(i, DropUnanswered)
		return
	}
	w.ask(i, p)
}

// onMapping releases what waited, in order.
func (w *Worker) onMapping(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	i, waiting := w.pending.Lookup(&m.Key, hash)
	j, known := w.mapped.Lookup(&m.Key, hash)
	switch {
	case waiting && !w.pendingState[i].accepts(m),
		!waiting && !known,
		!waiting && !sameIncarnation(w.mapped.Entry(j), m): // late word of what the tuple was before
		w.count.add(DropStaleMessage, 1)
		return
	}
	if !known {
		j = w.insert(w.mapped, &m.Key, hash)
	}
	e := w.mapped.Entry(j)
	if !sameIncarnation(e, m) || e.Server != m.Server {
		e.Flags &^= flagReopening | flagClosing | flagUnheard
	}
	e.ClientISN, e.ServerISN, e.Server, e.Renewed = m.ClientISN, m.ServerISN, m.Server, w.tick32()-uint32(m.Payload)
	if waiting {
		w.release(i, m.Server, hash)
	}
}

// accepts reports whether a mapping may be the answer to the query: a packet
// that a cookie vouches for names its incarnation.
func (p *pending) accepts(m *wire.Tracker) bool {
	return !p.vouched || m.ClientISN == p.query.Seq-1 && m.ServerISN == p.query.Ack-1
}

func (w *Worker) release(i uint32, server uint16, hash uint64) {
	p := &w.pendingState[i]
	s := w.view.server(server)
	dead := s != nil && s.Dead
	if j, ok := w.mapped.Lookup(&p.query.Key, hash); ok && w.justHeard(w.mapped.Entry(j)) {
		dead = false
	}
	for {
		b, ok := w.held.pop(&p.packets)
		if !ok {
			break
		}
		switch {
		case dead:
			w.resetDead(&b, &p.query.Key)
			w.io.Free(b)
		case s == nil || !s.resolved:
			w.count.add(DropNoNextHop, 1)
			w.io.Free(b)
		case packet.Encapsulate(&b, &s.target, entropyPort(hash)) != packet.OK:
			w.count.add(DropNoRoom, 1)
			w.io.Free(b)
		case uint32(b.Len) > uint32(w.cfg.FabricMTU)+packet.EthernetSize:
			w.count.add(DropTooBig, 1)
			w.io.Free(b)
		default:
			b.Port = packet.South
			w.count.add(IngressReleased, 1)
			w.io.Send(b)
		}
	}
	w.removePending(i)
}

// onUnknown is the answer of a tracker without state: ask the other one, and
// when neither knows the flow, tell the client (S-58).
func (w *Worker) onUnknown(m *wire.Tracker) {
	i, ok := w.pending.Lookup(&m.Key, w.hash(&m.Key))
	if !ok {
		w.count.add(DropStaleMessage, 1)
		return
	}
	p := &w.pendingState[i]
	first, second := w.view.ring.Trackers(&m.Key)
	switch m.Sender {
	case first:
		p.denied |= 1
	case second:
		p.denied |= 2
	default: // whom the one that was asked passed the question on to
		p.denied |= 2 >> (p.tries & 1)
	}
	switch {
	case p.denied == 3 || p.denied == 1 && second == NoNode:
		why := DropUnknownFlow
		if p.query.TCPFlags&packet.RST != 0 {
			why = DropUnknownReset
		}
		if w.cfg.Settled { // else its server may be about to publish it (S-58)
			w.resetHeld(p)
		}
		w.giveUp(i, why)
	case p.denied == 1:
		p.tries |= 1 // the secondary's turn
		w.ask(i, p)
	default:
		p.tries &^= 1
		w.ask(i, p)
	}
}

// onRefused is the primary's word that no server takes the connection.
func (w *Worker) onRefused(m *wire.Tracker) {
	i, ok := w.pending.Lookup(&m.Key, w.hash(&m.Key))
	if !ok {
		w.count.add(DropStaleMessage, 1)
		return
	}
	w.resetHeld(&w.pendingState[i])
	w.dropHeld(&w.pendingState[i])
	w.removePending(i)
}

// resetHeld answers the oldest held packet with a RST.
func (w *Worker) resetHeld(p *pending) {
	b := w.held.oldest(&p.packets)
	if b == nil {
		return
	}
	var in packet.Info
	if packet.Parse(b.Bytes(), &in) == packet.OK {
		w.sendReset(&in, &p.query.Key, p.vouched)
	}
}

func (w *Worker) dropHeld(p *pending) (n uint64) {
	for {
		b, ok := w.held.pop(&p.packets)
		if !ok {
			return n
		}
		w.io.Free(b)
		n++
	}
}

// giveUp drops what was held, for a reason.
func (w *Worker) giveUp(i uint32, why Counter) {
	w.count.add(why, w.dropHeld(&w.pendingState[i]))
	w.removePending(i)
}

func (w *Worker) removePending(i uint32) {
	w.pendingTimers.cancel(i)
	w.pending.Delete(i)
}

// maxHeaders is the most that Ethernet, IP and TCP headers take: the bound on
// held bytes is one on payload.
const maxHeaders = packet.EthernetSize + packet.IPv6Size + 60
