package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// onChoice is the secondary's: check again, and make the offer.
func (w *Worker) onChoice(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	if e := w.trackedEntry(&m.Key, hash); e != nil && sameIncarnation(e, m) {
		w.tellMapped(m.Primary, m, e) // committed already; the primary missed it
		return
	}
	i, h := w.findHalfOpen(&m.Key, hash)
	if h == nil || !h.same(m) {
		if h != nil && h.stage == offering && w.now < h.deadline {
			w.count.add(DropStaleMessage, 1)
			return
		}
		if _, ok := checkCookie(w.cfg.Secrets.Cookie, &m.Key, m.ClientISN, m.ServerISN,
			m.Options&wire.OptTimestamps != 0, m.TSecr, w.seconds()); !ok {
			w.count.add(DropBadCookie, 1)
			return
		}
		if h == nil {
			i, h = w.addHalfOpen(&m.Key, hash, true)
		}
		*h = halfOpen{role: secondary, peer: m.Primary}
	}
	if first, _ := w.view.ring.Trackers(&m.Key); h.role == primary && first != w.cfg.Self {
		h.role, h.stage = secondary, synSeen // it led under an older ring; who leads now chooses anew
	}
	switch {
	case h.stage == synSeen || m.Offer > h.offer:
		h.take(m)
		h.role, h.peer = secondary, m.Primary
		h.server, h.offer, h.ttl = m.Server, m.Offer, m.TTL
		h.stage, h.tries, h.deadline = offering, 0, w.now+offeringLife
		w.proveHalfOpen(i)
		w.sendOffer(i, h, &m.Key)
	case m.Offer == h.offer && h.stage == rejected:
		w.tellRejected(h, &m.Key)
	default: // offered and unanswered: our own timer repeats it
		w.count.add(DropStaleMessage, 1)
	}
}

// sendOffer sends the fabricated SYN to the module of the chosen server.
func (w *Worker) sendOffer(i uint32, h *halfOpen, k *flow.Key) {
	w.halfTimers.schedule(i, w.now+repeatAfter(firstRepeat, h.tries))
	if h.tries == 0 {
		w.count.add(OffersSent, 1)
	}
	h.tries++
	var m wire.Tracker
	h.fill(&m, k, w.cfg.Self)
	m.Type = wire.MsgOffer
	w.toServer(h.server, &m)
}

// onReject is the secondary's, or a lone primary's: the module does not take it.
func (w *Worker) onReject(m *wire.Tracker) {
	i, h := w.findHalfOpen(&m.Key, w.hash(&m.Key))
	if h == nil || !h.same(m) || h.stage != offering || h.offer != m.Offer || h.server != m.Sender {
		w.count.add(DropStaleMessage, 1)
		return
	}
	h.ttl = min(m.TTL, h.ttl-1)
	w.rejectedHere(i, h, &m.Key, m.Reason)
}

// offerFailed is for an offer that the module never answered.
func (w *Worker) offerFailed(i uint32, h *halfOpen, k *flow.Key, reason uint8) {
	h.ttl--
	w.rejectedHere(i, h, k, reason)
}

func (w *Worker) rejectedHere(i uint32, h *halfOpen, k *flow.Key, reason uint8) {
	w.count.add(OffersRejected, 1)
	h.reason = reason
	if h.role == primary { // lone
		w.nextOffer(i, h, k)
		return
	}
	h.stage = rejected
	w.halfTimers.schedule(i, h.deadline)
	w.tellRejected(h, k)
}

func (w *Worker) tellRejected(h *halfOpen, k *flow.Key) {
	var m wire.Tracker
	h.fill(&m, k, w.cfg.Self)
	m.Type = wire.MsgRejected
	w.toNode(h.peer, &m)
}

// onRejected is the primary's: offer n came back.
func (w *Worker) onRejected(m *wire.Tracker) {
	i, h := w.findHalfOpen(&m.Key, w.hash(&m.Key))
	if h == nil || !h.same(m) || h.role != primary || h.stage != offering || h.offer != m.Offer {
		w.count.add(DropStaleMessage, 1)
		return
	}
	h.ttl, h.reason = m.TTL, m.Reason
	w.nextOffer(i, h, &m.Key)
}

// nextOffer goes on to the next server, or ends at TTL zero (S-33).
func (w *Worker) nextOffer(i uint32, h *halfOpen, k *flow.Key) {
	e, _ := w.view.endpoint(k.VIP, k.Proto, k.VIPPort)
	if h.ttl == 0 || e == nil {
		w.refuse(i, h, k)
		return
	}
	h.offer++
	w.choose(i, h, k, e)
}
