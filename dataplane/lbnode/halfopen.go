package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// halfOpen is what a tracker keeps of a connection between SYN and commit. It
// stands beside the entry of the half-open table with the same index.
type halfOpen struct {
	clientISN, serverISN uint32
	tsval, tsecr         uint32
	seq, ack             uint32
	deadline             int64  // ns: when this tracker gives up
	peer                 uint16 // the other tracker; NoNode for a lone primary
	ingress              uint16
	mss, window          uint16
	server               uint16
	wscale, options      uint8
	offer, ttl, reason   uint8
	tries                uint8 // of what is repeated now
	stage                stage
	role                 role
}

type role uint8

const (
	primary role = iota
	secondary
)

// stage of a half-open connection.
type stage uint8

const (
	synSeen  stage = iota // SYN/ACK sent, no ACK yet
	offering              // primary: choice sent; secondary: offer sent
	rejected              // secondary: the module did not take offer n
	refused               // primary: no offers left, the client was reset
)

// Times of the handshake, in ns.
const (
	halfOpenLife    = 10e9  // until the ACK; a repeated SYN/ACK extends it
	offeringLife    = 30e9  // from the ACK to the commit: no limit on offers, but on lost messages
	refusedLife     = 2e9   // how long repeated packets of a refused connection are reset
	firstSynAck     = 1e9   // first repetition of the SYN/ACK (RFC 6298, 2.1), then doubling
	firstRepeat     = 30e6  // first repetition of choices and offers, then doubling
	longestRepeat   = 500e6 // … up to this
	maxSynAckTries  = 6     // after 1, 3, 7, 15, 31 and 63 s
	maxOfferTries   = 6     // 30 ms doubling to 500 ms: the module is silent for 1.4 s
	proofWindow     = 65535
	freshCookie     = 5000 // ms: an ACK that comes later may be of a connection that has been idle
	repeatsPerSec   = 5000 // SYN/ACKs repeated by one worker: no amplifier under flood
	resetsPerSecond = 1000 // RSTs to closed ports and unknown flows, per worker
)

func (h *halfOpen) same(m *wire.Tracker) bool {
	return h.clientISN == m.ClientISN && h.serverISN == m.ServerISN
}

// fill writes what a tracker knows of the connection into a message.
func (h *halfOpen) fill(m *wire.Tracker, k *flow.Key, self uint16) {
	*m = wire.Tracker{Key: *k, ClientISN: h.clientISN, ServerISN: h.serverISN, TSval: h.tsval, TSecr: h.tsecr,
		Seq: h.seq, Ack: h.ack, MSS: h.mss, Window: h.window, WScale: h.wscale, Options: h.options,
		Offer: h.offer, TTL: h.ttl, Reason: h.reason, Server: h.server, Ingress: h.ingress}
	if h.role == primary {
		m.Primary, m.Secondary = self, h.peer
	} else {
		m.Primary, m.Secondary = h.peer, self
	}
}

// take copies what a message says of the connection.
func (h *halfOpen) take(m *wire.Tracker) {
	h.clientISN, h.serverISN, h.tsval, h.tsecr = m.ClientISN, m.ServerISN, m.TSval, m.TSecr
	h.mss, h.wscale, h.options, h.ingress = m.MSS, m.WScale, m.Options, m.Ingress
	h.seq, h.ack, h.window = m.Seq, m.Ack, m.Window
}

// findHalfOpen looks a flow up in the half-open table.
func (w *Worker) findHalfOpen(k *flow.Key, h uint64) (uint32, *halfOpen) {
	if i, ok := w.half.Lookup(k, h); ok {
		return i, &w.halfState[i]
	}
	return 0, nil
}

// addHalfOpen makes room for a flow. proven says that a valid ACK stands behind
// it: such state is always created, at the cost of the half-open entry that
// was idle longest; a mere SYN is only inserted below the bound (S-12).
func (w *Worker) addHalfOpen(k *flow.Key, h uint64, proven bool) (uint32, *halfOpen) {
	if !proven && w.half.Len() >= w.half.Cap() {
		return 0, nil
	}
	i, ev := w.half.Insert(k, h, 0) // nothing here has a lease
	if ev.Cause != flow.EvictedNone {
		w.halfTimers.cancel(ev.Index)
		w.count.add(FlowsEvicted, 1)
	}
	w.halfState[i] = halfOpen{}
	e := w.half.Entry(i)
	e.Renewed = w.tick32()
	if !proven {
		e.Flags |= flow.FlagHalfOpen
	}
	return i, &w.halfState[i]
}

func (w *Worker) removeHalfOpen(i uint32) {
	w.halfTimers.cancel(i)
	w.half.Delete(i)
}

// proveHalfOpen marks that an ACK stands behind the entry now.
func (w *Worker) proveHalfOpen(i uint32) {
	e := w.half.Entry(i)
	e.Flags &^= flow.FlagHalfOpen
	e.Renewed = w.tick32()
}

// onHalfOpenTimer repeats what was lost, or gives up.
func (w *Worker) onHalfOpenTimer(i uint32) {
	h, k := &w.halfState[i], w.half.Entry(i).Key
	if w.now >= h.deadline {
		if h.stage == offering && h.role == primary {
			w.refuse(i, h, &k) // to begin anew would exceed the TTL (S-33)
		} else {
			w.removeHalfOpen(i)
		}
		return
	}
	switch {
	case h.stage == synSeen && w.sendsSynAck(h):
		w.repeatSynAck(i, h, &k)
	case h.stage == offering && h.role == primary && h.peer != NoNode:
		w.sendChoice(i, h, &k)
	case h.stage == offering:
		if h.tries >= maxOfferTries {
			w.offerFailed(i, h, &k, wire.RejectUnreachable)
			return
		}
		w.sendOffer(i, h, &k)
	default: // nothing to repeat: wait for the end
		w.halfTimers.schedule(i, h.deadline)
	}
}

// repeatAfter is the pause before the next repetition.
func repeatAfter(first int64, tries uint8) int64 {
	return min(first<<min(tries, 16), longestRepeat)
}
