package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// The tracker's way of a connection (section 2 of the design): onSyn stores
// half-open state and has the secondary answer; onQuery proves the client's
// ACK; choose picks a server; commit.go ends it.

// onSyn is the primary's: a client's SYN without a mapping.
func (w *Worker) onSyn(m *wire.Tracker) {
	p, s := w.view.ring.Trackers(&m.Key)
	if p != w.cfg.Self {
		w.count.add(DropStaleMessage, 1)
		return
	}
	hash := w.hash(&m.Key)
	if e := w.trackedEntry(&m.Key, hash); e != nil && e.ClientISN == m.ClientISN {
		w.count.add(DropDuplicateSyn, 1)
		return
	}
	i, h := w.findHalfOpen(&m.Key, hash)
	switch {
	case h == nil:
		if i, h = w.addHalfOpen(&m.Key, hash, false); h == nil {
			w.count.add(DropHalfOpenFull, 1)
			m.Type = wire.MsgSynBusy
			w.toNode(m.Ingress, m)
			return
		}
	case h.clientISN == m.ClientISN && h.role == primary && h.stage == synSeen:
		h.ingress = m.Ingress
		w.answerSyn(i, h, &m.Key)
		return
	case h.stage == offering || h.clientISN == m.ClientISN && h.role == primary:
		// A valid ACK stands behind this entry; a SYN, which anybody can write,
		// does not displace it (S-15). The client's SYN will come again. A late
		// copy of this connection's own must not stop what is being repeated.
		w.count.add(DropDuplicateSyn, 1)
		return
	}
	*h = halfOpen{role: primary, peer: s}
	h.take(m)
	o := messageOptions(m)
	h.serverISN = makeISN(w.cfg.Secrets.Cookie[0], &m.Key, m.ClientISN, o, w.seconds())
	h.deadline = w.now + halfOpenLife
	w.answerSyn(i, h, &m.Key)
}

// answerSyn has the SYN/ACK sent: by the secondary, or by a lone primary itself.
func (w *Worker) answerSyn(i uint32, h *halfOpen, k *flow.Key) {
	h.tsecr = 0
	if h.options&wire.OptTimestamps != 0 {
		h.tsecr = makeTSval(h.agreed(), w.milliseconds())
	}
	if h.peer == NoNode {
		w.sendSynAck(h, k)
		w.halfTimers.schedule(i, w.now+firstSynAck)
		return
	}
	w.halfTimers.schedule(i, h.deadline)
	var m wire.Tracker
	h.fill(&m, k, w.cfg.Self)
	m.Type = wire.MsgSynStore
	w.toNode(h.peer, &m)
}

// onSynStore is the secondary's: keep a copy, and answer the client.
func (w *Worker) onSynStore(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	if e := w.trackedEntry(&m.Key, hash); e != nil && sameIncarnation(e, m) {
		w.count.add(DropDuplicateSyn, 1)
		return
	}
	i, h := w.findHalfOpen(&m.Key, hash)
	switch {
	case h == nil:
		if i, h = w.addHalfOpen(&m.Key, hash, false); h == nil {
			// The cookie carries all that matters: answer without keeping it.
			var once halfOpen
			once.take(m)
			w.sendSynAck(&once, &m.Key)
			return
		}
	case h.same(m) && h.stage != synSeen:
		// Beyond the SYN already; the client missed our SYN/ACK's repetition only.
		w.count.add(DropDuplicateSyn, 1)
		return
	case !h.same(m) && h.stage == offering:
		w.count.add(DropDuplicateSyn, 1)
		return
	}
	*h = halfOpen{role: secondary, peer: m.Primary, deadline: w.now + halfOpenLife}
	h.take(m)
	w.sendSynAck(h, &m.Key)
	w.halfTimers.schedule(i, w.now+firstSynAck)
}

// sendsSynAck says whether this tracker is the one that answers the client.
func (w *Worker) sendsSynAck(h *halfOpen) bool { return h.role == secondary || h.peer == NoNode }

// repeatSynAck drives recovery for a client that has nothing to repeat (S-14),
// but not while a flood fills the table.
func (w *Worker) repeatSynAck(i uint32, h *halfOpen, k *flow.Key) {
	if h.tries < maxSynAckTries && w.half.Len() < w.half.Cap()/2 && w.repeats.take(w.now) {
		h.tries++
		if h.options&wire.OptTimestamps != 0 {
			h.tsecr = makeTSval(h.agreed(), w.milliseconds())
		}
		w.sendSynAck(h, k)
		w.count.add(SynAckResent, 1)
		next := w.now + int64(firstSynAck)<<h.tries
		h.deadline = max(h.deadline, next+firstSynAck)
		w.halfTimers.schedule(i, next)
		return
	}
	w.halfTimers.schedule(i, h.deadline)
}

// onQuery answers an ingress that has a packet of a flow it does not know.
func (w *Worker) onQuery(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	e := w.trackedEntry(&m.Key, hash)
	if m.TCPFlags&packet.RST != 0 { // goes where the flow is, and begins nothing
		if e != nil {
			w.answerMapping(m, e)
		} else {
			w.lacks(m)
		}
		return
	}
	if i, h := w.findHalfOpen(&m.Key, hash); h != nil && h.provenBy(m) {
		if e == nil || e.ClientISN != h.clientISN || e.ServerISN != h.serverISN {
			w.onProof(i, h, m)
			return
		}
	}
	if e != nil && (e.ClientISN == m.Seq-1 || e.ServerISN == m.Ack-1 || !w.provesCookie(m)) {
		if !w.withheld(e) {
			w.answerMapping(m, e)
		}
		return
	}
	if e != nil && m.Options&wire.OptHeld != 0 {
		// An old packet, out of a node that was cut off. The tuple carries another
		// connection by now; should it be the packet that is right, it comes again.
		w.count.add(DropStaleMessage, 1)
		return
	}
	if o, ok := w.cookieOf(m); ok {
		w.onCookie(m, hash, o)
		return
	}
	w.lacks(m)
}

// lacks is for a query that finds nothing here. Asked under another view of the
// ring, this tracker passes the question on, once, to those who should know
// (S-71).
func (w *Worker) lacks(m *wire.Tracker) {
	if m.Epoch != w.cfg.Epoch && m.Options&wire.OptForwarded == 0 && m.Sender == m.Ingress {
		first, second := w.view.ring.Trackers(&m.Key)
		for _, to := range [2]uint16{first, second} {
			if to != NoNode && to != w.cfg.Self && to != m.Primary && to != m.Secondary {
				m.Options |= wire.OptForwarded
				w.count.add(QueriesForwarded, 1)
				w.toNode(to, m)
				return
			}
		}
	}
	w.answerUnknown(m)
}

func (w *Worker) answerUnknown(m *wire.Tracker) {
	m.Type = wire.MsgUnknown
	w.count.add(QueriesAnswered, 1)
	w.toNode(m.Ingress, m)
}

// provenBy reports whether the packet acknowledges our ISN, from inside the
// window that the SYN/ACK gave.
func (h *halfOpen) provenBy(m *wire.Tracker) bool {
	return m.Ack-1 == h.serverISN && m.Seq-(h.clientISN+1) <= proofWindow
}

func (w *Worker) cookieOf(m *wire.Tracker) (options, bool) {
	return checkCookie(w.cfg.Secrets.Cookie, &m.Key, m.Seq-1, m.Ack-1,
		m.Options&wire.OptTimestamps != 0, m.TSecr, w.seconds())
}

func (w *Worker) provesCookie(m *wire.Tracker) bool {
	_, ok := w.cookieOf(m)
	return ok
}

// onProof is for the ACK of a connection that this tracker has half open.
func (w *Worker) onProof(i uint32, h *halfOpen, m *wire.Tracker) {
	if h.role == secondary {
		first, second := w.view.ring.Trackers(&m.Key)
		if first != w.cfg.Self {
			// The choice is the primary's; the ingress asks it again.
			w.count.add(DropStaleMessage, 1)
			return
		}
		w.leadHalfOpen(i, h, &m.Key, second) // it came from the primary of an older ring
	}
	h.ingress = m.Ingress
	switch h.stage {
	case synSeen:
		h.seq, h.ack, h.window, h.tsecr = m.Seq, m.Ack, m.Window, m.TSecr
		w.proveHalfOpen(i)
		w.startOffers(i, h, &m.Key)
	case refused:
		w.tellRefused(h, &m.Key)
	}
}

// onCookie makes the state that a flood, or the loss of the SYN's messages,
// kept us from having.
func (w *Worker) onCookie(m *wire.Tracker, hash uint64, o options) {
	p, s := w.view.ring.Trackers(&m.Key)
	if p != w.cfg.Self {
		w.count.add(DropStaleMessage, 1)
		return
	}
	if !w.cfg.Settled && o.ts && int32(uint32(w.milliseconds())-m.TSecr) > freshCookie {
		// Perhaps established long ago and idle since, its trackers gone: its
		// server will publish it. A second one must not be found for it (S-18).
		w.lacks(m)
		return
	}
	w.count.add(CookieVerified, 1)
	i, h := w.findHalfOpen(&m.Key, hash)
	if h == nil {
		i, h = w.addHalfOpen(&m.Key, hash, true)
	} else if h.stage != synSeen {
		w.count.add(DropStaleMessage, 1)
		return
	}
	*h = halfOpen{role: primary, peer: s}
	h.take(m)
	h.clientISN, h.serverISN = m.Seq-1, m.Ack-1
	h.mss, h.wscale, h.options = o.mss, o.wscale, optionBits(o)
	w.proveHalfOpen(i)
	w.startOffers(i, h, &m.Key)
}

// startOffers begins the search for a server.
func (w *Worker) startOffers(i uint32, h *halfOpen, k *flow.Key) {
	h.deadline = w.now + offeringLife
	h.offer, h.stage = 0, offering
	e, _ := w.view.endpoint(k.VIP, k.Proto, k.VIPPort)
	if e == nil {
		w.refuse(i, h, k)
		return
	}
	h.ttl = e.TTL
	w.choose(i, h, k, e)
}

// choose picks the server of offer n: the n-th of the keyed, weighted ranking (S-18).
func (w *Worker) choose(i uint32, h *halfOpen, k *flow.Key, e *endpointView) {
	s, ok := hashring.Rank(k, h.clientISN, h.serverISN, w.cfg.Secrets.Ranking, e.candidates(), int(h.offer), w.scores)
	if !ok {
		w.count.add(DropNoServer, 1)
		w.refuse(i, h, k)
		return
	}
	h.server, h.tries, h.stage = s, 0, offering
	h.options &^= wire.OptMustAccept
	if h.ttl == 1 && e.MustAccept {
		h.options |= wire.OptMustAccept
	}
	if h.peer == NoNode {
		w.sendOffer(i, h, k)
	} else {
		w.sendChoice(i, h, k)
	}
}

func (w *Worker) sendChoice(i uint32, h *halfOpen, k *flow.Key) {
	if h.tries > 0 { // unanswered: perhaps the ring has another secondary by now (S-74)
		if p, s := w.view.ring.Trackers(k); p == w.cfg.Self && s != h.peer {
			h.peer, h.tries = s, 0
			if s == NoNode {
				w.sendOffer(i, h, k)
				return
			}
		}
	}
	w.halfTimers.schedule(i, w.now+repeatAfter(firstRepeat, h.tries))
	h.tries++
	var m wire.Tracker
	h.fill(&m, k, w.cfg.Self)
	m.Type = wire.MsgChoice
	w.toNode(h.peer, &m)
}

// refuse ends a connection that no server takes.
func (w *Worker) refuse(i uint32, h *halfOpen, k *flow.Key) {
	h.stage, h.deadline = refused, w.now+refusedLife
	w.halfTimers.schedule(i, h.deadline)
	w.count.add(ConnectionsRefused, 1)
	w.tellRefused(h, k)
}

func (w *Worker) tellRefused(h *halfOpen, k *flow.Key) {
	var m wire.Tracker
	h.fill(&m, k, w.cfg.Self)
	m.Type = wire.MsgRefused
	w.toNode(h.ingress, &m)
}

// agreed are the options of the SYN/ACK.
func (h *halfOpen) agreed() options {
	return options{mss: h.mss, wscale: h.wscale, sack: h.options&wire.OptSACK != 0, ts: h.options&wire.OptTimestamps != 0}
}

func messageOptions(m *wire.Tracker) options {
	return options{mss: m.MSS, wscale: m.WScale, sack: m.Options&wire.OptSACK != 0, ts: m.Options&wire.OptTimestamps != 0}
}

func optionBits(o options) (b uint8) {
	if o.sack {
		b |= wire.OptSACK
	}
	if o.ts {
		b |= wire.OptTimestamps
	}
	return b
}
