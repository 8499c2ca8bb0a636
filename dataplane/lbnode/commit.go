package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/wire"
)

// onAccept is the secondary's, or a lone primary's: the server has the
// connection. The module repeats it until it gets MsgCommit, which drives
// MsgMapped and its acknowledgement too.
func (w *Worker) onAccept(m *wire.Tracker) {
	m.Server = m.Sender
	hash := w.hash(&m.Key)
	if e := w.trackedEntry(&m.Key, hash); e != nil && sameIncarnation(e, m) {
		if e.Server != m.Server {
			w.tellSuperseded(m)
		} else {
			w.confirm(m, e)
		}
		return
	}
	i, h := w.findHalfOpen(&m.Key, hash)
	if h != nil && h.same(m) && w.gotFurther(h, m) {
		h.ttl, h.offer, h.server = h.ttl-(m.Offer-h.offer), m.Offer, m.Server
	}
	if h == nil || !h.same(m) || h.stage != offering || h.offer != m.Offer || h.server != m.Server {
		if by := offeredBy(m); by != w.cfg.Self && (h == nil || !h.same(m) || h.stage == synSeen) {
			// Another node made the offer, and this one has not heard of it yet:
			// it tracks the flow since just now. The module repeats its accept.
			w.count.add(DropStaleMessage, 1)
			return
		}
		w.tellSuperseded(m)
		return
	}
	h.fill(m, &m.Key, w.cfg.Self)
	leads := h.role == primary
	if leads && h.peer == NoNode {
		w.tellMapping(h.ingress, m)
	}
	m.Ingress = h.ingress
	w.removeHalfOpen(i)
	e := w.commit(m, hash, leads)
	if e.Flags&flagsOwed != 0 {
		e.Flags |= flagUncommitted
	}
	w.confirm(m, e)
}

// gotFurther reports whether an accept answers a later offer than the one that
// this node is at: whoever tracked the flow before had got that far already, and
// the servers before it had rejected (S-18). To begin at the first again would
// end what stands, and ask a server more than needed.
func (w *Worker) gotFurther(h *halfOpen, m *wire.Tracker) bool {
	if h.stage != offering || m.Offer <= h.offer || m.Offer-h.offer >= h.ttl {
		return false
	}
	e, _ := w.view.endpoint(m.Key.VIP, m.Key.Proto, m.Key.VIPPort)
	if e == nil {
		return false
	}
	s, ok := hashring.Rank(&m.Key, m.ClientISN, m.ServerISN, w.cfg.Secrets.Ranking, e.candidates(), int(m.Offer), w.scores)
	return ok && s == m.Server
}

// offeredBy is the node that made the offer which a message answers.
func offeredBy(m *wire.Tracker) uint16 {
	if m.Secondary == NoNode {
		return m.Primary
	}
	return m.Secondary
}

// withheld reports whether no packet may reach the server of a mapping yet: a
// packet would let its bytes flow, and only this tracker holds the mapping
// (S-18). It asks the other one again.
func (w *Worker) withheld(e *flow.Entry) bool {
	w.settle(e)
	if e.Flags&flagsOwed == 0 {
		e.Flags &^= flagUncommitted
	}
	if e.Flags&flagUncommitted == 0 {
		return false
	}
	w.payDebts(e)
	return true
}

// confirm carries a commit on: to the primary, or, from a lone one, straight
// back to the module.
func (w *Worker) confirm(m *wire.Tracker, e *flow.Entry) {
	w.settle(e)
	p, s := w.view.ring.Trackers(&m.Key)
	switch {
	case e.Flags&flagLone != 0:
		m.Type = wire.MsgCommit
		w.toServer(e.Server, m)
	case p != w.cfg.Self && p != NoNode:
		w.tellMapped(p, m, e)
	case e.Flags&flagsOwed == 0: // this node leads, and the secondary has it
		w.announceCommit(m, e)
	default:
		// The secondary that made the offer is gone, and this is the one it was
		// made for: the commit waits until the new secondary has it (S-18).
		e.Flags |= flagUncommitted
		if s != NoNode {
			w.payDebts(e)
		}
	}
}

// Flags of a tracker's entries.
const (
	flagLone = flow.FlagCallerLow << iota // committed without a second tracker
	flagPrimary
)

// commit records a mapping as a tracker.
func (w *Worker) commit(m *wire.Tracker, hash uint64, isPrimary bool) *flow.Entry {
	i, ok := w.tracked.Lookup(&m.Key, hash)
	if !ok {
		i = w.insert(w.tracked, &m.Key, hash)
	}
	e := w.tracked.Entry(i)
	e.ClientISN, e.ServerISN, e.Server, e.Ingress = m.ClientISN, m.ServerISN, m.Server, m.Ingress
	e.Renewed, e.Offer, e.TTL, e.Flags, e.Stamp = w.tick32(), m.Offer, m.TTL, w.placeFlags(&m.Key), w.cfg.Epoch
	if e.Flags&flagLone == 0 {
		w.owe(e, m, isPrimary)
	}
	if isPrimary { // the secondary's commit is the same connection
		w.count.add(ConnectionsCommitted, 1)
	}
	return e
}

// owe notes which tracker of the ring does not hold a mapping that is committed
// here: the primary, when the secondary commits first; whoever came to the ring
// during the handshake.
func (w *Worker) owe(e *flow.Entry, m *wire.Tracker, told bool) {
	first, second := w.view.ring.Trackers(&m.Key)
	holder := uint16(NoNode) // the other one that holds it
	if told && m.Secondary != w.cfg.Self && m.Primary == w.cfg.Self && m.Type == wire.MsgMapped {
		holder = m.Secondary
	}
	if first != w.cfg.Self && first != holder {
		e.Flags |= flagOwesPrimary
	}
	if second != w.cfg.Self && second != holder && second != NoNode {
		e.Flags |= flagOwesSecondary
	}
	if e.Flags&flagsOwed != 0 && (first != m.Primary || second != m.Secondary) && !w.resync.active {
		w.startRound(w.now + resyncPause)
	}
}

func (w *Worker) tellMapped(to uint16, m *wire.Tracker, e *flow.Entry) {
	m.Type, m.Server, m.Offer, m.Ingress, m.Secondary = wire.MsgMapped, e.Server, e.Offer, e.Ingress, w.cfg.Self
	w.toNode(to, m)
}

func (w *Worker) tellMapping(ingress uint16, m *wire.Tracker) {
	m.Type = wire.MsgMapping
	w.toNode(ingress, m)
}

// tellSuperseded ends a connection that a module built for an offer which is
// no longer the one.
func (w *Worker) tellSuperseded(m *wire.Tracker) {
	w.count.add(ConnectionsSuperseded, 1)
	m.Type = wire.MsgSuperseded
	w.toServer(m.Server, m)
}

// onMapped is the primary's: the secondary committed.
func (w *Worker) onMapped(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	from := m.Sender
	if e := w.trackedEntry(&m.Key, hash); e != nil && sameIncarnation(e, m) {
		if e.Server != m.Server {
			m.Type = wire.MsgSuperseded
		} else {
			m.Type = wire.MsgMappedAck
		}
		w.toNode(from, m)
		return
	}
	i, h := w.findHalfOpen(&m.Key, hash)
	if h != nil && h.same(m) {
		if h.stage == refused { // the client was reset
			m.Type = wire.MsgSuperseded
			w.toNode(from, m)
			return
		}
		// What a secondary committed stands, also when this tracker began to
		// choose anew because it had lost its state: the first mapping to get
		// here is the one, and every other server is superseded.
		m.Ingress = h.ingress
		w.removeHalfOpen(i)
	}
	m.Primary, m.Secondary = w.cfg.Self, from
	w.commit(m, hash, true)
	w.tellMapping(m.Ingress, m)
	m.Type = wire.MsgMappedAck
	w.toNode(from, m)
}

// onMappedAck is the secondary's: both trackers hold the mapping now (S-18).
func (w *Worker) onMappedAck(m *wire.Tracker) {
	if e := w.trackedEntry(&m.Key, w.hash(&m.Key)); e != nil && sameIncarnation(e, m) && e.Server == m.Server {
		w.paid(e, m.Sender)
		e.Flags &^= flagUncommitted
	}
	m.Type = wire.MsgCommit
	w.toServer(m.Server, m)
}

// onSuperseded is the secondary's: the primary has another server.
func (w *Worker) onSuperseded(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	if i, ok := w.tracked.Lookup(&m.Key, hash); ok {
		if e := w.tracked.Entry(i); sameIncarnation(e, m) && e.Server == m.Server {
			w.tracked.Delete(i)
		}
	}
	w.tellSuperseded(m)
}

// onGone forgets a mapping that its server does not know, or whose tuple
// carries another connection by now.
func (w *Worker) onGone(m *wire.Tracker) {
	hash := w.hash(&m.Key)
	for _, t := range [2]*flow.Table{w.tracked, w.mapped} {
		i, ok := t.Lookup(&m.Key, hash)
		if !ok {
			continue
		}
		if e := t.Entry(i); sameIncarnation(e, m) && e.Server == m.Server {
			t.Delete(i)
			w.count.add(MappingsPurged, 1)
		}
	}
}

// answerMapping tells an ingress where a known flow goes.
func (w *Worker) answerMapping(m *wire.Tracker, e *flow.Entry) {
	m.ClientISN, m.ServerISN, m.Server = e.ClientISN, e.ServerISN, e.Server
	m.Payload = uint16(min(w.tick32()-e.Renewed, 0xffff)) // the lease goes on where it is
	e.Ingress = m.Ingress
	w.count.add(QueriesAnswered, 1)
	w.tellMapping(m.Ingress, m)
}

func (w *Worker) trackedEntry(k *flow.Key, hash uint64) *flow.Entry {
	if i, ok := w.tracked.Lookup(k, hash); ok {
		if e := w.tracked.Entry(i); !w.expired(e) {
			return e
		}
	}
	return nil
}

func sameIncarnation(e *flow.Entry, m *wire.Tracker) bool {
	return e.ClientISN == m.ClientISN && e.ServerISN == m.ServerISN
}
