package lbnode

import (
	"slices"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// When the ring changes, whoever tracked a flow hands it on to its new trackers
// (S-72). Every tracked entry carries the epoch of the ring under which it was
// last looked at, and says who of that ring's two trackers still lacks it. A
// slow walk over the table brings all entries up to date, sends what is owed,
// and goes round again until everything is acknowledged.

// Flags of a tracker's entries, beyond those of commit.go.
const (
	flagOwesPrimary   = flow.FlagCallerLow << (iota + 2) // the primary lacks this mapping
	flagOwesSecondary                                    // the secondary lacks it
	flagUncommitted                                      // the module waits for MsgCommit until the debts are paid
	flagClosing                                          // so its server last published it: its tuple may be in use again
	flagUnheard                                          // so its server last published it: no packet of the client came there
)

const flagsOwed = flagOwesPrimary | flagOwesSecondary

// pastRing is a view that entries may still refer to.
type pastRing struct {
	epoch uint32
	view  *view
}

// maxPast bounds the rings that are remembered. Entries of older ones are
// handed to both trackers.
const maxPast = 8

// resync is the walk under way.
type resync struct {
	active   bool
	cursor   uint32 // in tracked
	left     int    // slots of tracked to go in this round
	half     uint32 // cursor in the half-open table
	halfLeft int
	owed     int   // debts seen in this round
	pause    int64 // ns: when the next round may begin
	past     []pastRing
}

const (
	resyncSlots = 16384 // looked at per tick
	resyncSends = 256   // sent per tick
	resyncPause = 20e6  // ns between two rounds: acknowledgements need their time
	resyncTick  = 1e6   // ns
)

// ringChanged begins the walk, if the ring is another one than before.
func (w *Worker) ringChanged(before *view, epoch uint32) {
	r := &w.resync
	if before.self != nil && before != w.view {
		r.past = append(r.past, pastRing{epoch, before})
		if len(r.past) > maxPast {
			r.past = slices.Delete(r.past, 0, 1)
		}
	}
	w.startRound(w.now)
	r.half, r.halfLeft = 0, w.half.Slots()
}

func (w *Worker) startRound(at int64) {
	r := &w.resync
	r.active, r.cursor, r.left, r.owed, r.pause = true, 0, w.tracked.Slots(), 0, at
	w.synced.Store(0)
}

// Synced is the epoch of the ring for which every flow has been handed on; 0
// while that is under way. Anybody may ask.
func (w *Worker) Synced() uint32 { return w.synced.Load() }

// walk does a piece of the work and returns when to go on, in ns.
func (w *Worker) walk() int64 {
	r := &w.resync
	if !r.active {
		return never
	}
	if w.now < r.pause {
		return r.pause
	}
	budget := resyncSends
	if r.halfLeft > 0 {
		n := min(r.halfLeft, resyncSlots)
		for i := range w.half.Sweep(&r.half, n) {
			w.rehome(i)
		}
		r.halfLeft -= n
		w.drainLocal()
		return w.now + resyncTick
	}
	for slots := min(r.left, resyncSlots); slots > 0 && budget > 0; {
		n := min(slots, 256)
		for _, e := range w.tracked.Sweep(&r.cursor, n) {
			if w.settle(e); e.Flags&flagsOwed != 0 && !w.expired(e) {
				r.owed++
				budget -= w.payDebts(e)
			}
		}
		slots, r.left = slots-n, r.left-n
	}
	w.drainLocal()
	switch {
	case r.left > 0:
		return w.now + resyncTick
	case r.owed > 0:
		w.startRound(w.now + resyncPause)
		return w.resync.pause
	}
	r.active, r.past = false, r.past[:0]
	w.synced.Store(w.cfg.Epoch)
	return never
}

// settle makes an entry's flags say who of the present ring's trackers lacks it.
func (w *Worker) settle(e *flow.Entry) {
	if e.Stamp == w.cfg.Epoch {
		return
	}
	first, second := w.view.ring.Trackers(&e.Key)
	flags := e.Flags &^ (flagsOwed | flagPrimary | flagLone)
	var old *view
	oldFirst, oldSecond := uint16(NoNode), uint16(NoNode)
	if i := slices.IndexFunc(w.resync.past, func(p pastRing) bool { return p.epoch == e.Stamp }); i >= 0 {
		old = w.resync.past[i].view
		oldFirst, oldSecond = old.ring.Trackers(&e.Key)
	}
	holds := func(n uint16) bool {
		switch {
		case n == NoNode || n == w.cfg.Self:
			return true
		case old == nil || old.boot(n) != w.view.boot(n):
			return false
		}
		return n == oldFirst && e.Flags&flagOwesPrimary == 0 || n == oldSecond && e.Flags&flagOwesSecondary == 0
	}
	if !holds(first) {
		flags |= flagOwesPrimary
	}
	if !holds(second) {
		flags |= flagOwesSecondary
	}
	if first == w.cfg.Self {
		flags |= flagPrimary
		if second == NoNode {
			flags |= flagLone
		}
	}
	e.Flags, e.Stamp = flags, w.cfg.Epoch
}

// payDebts sends a mapping to the trackers that lack it, and returns how many.
func (w *Worker) payDebts(e *flow.Entry) (sent int) {
	first, second := w.view.ring.Trackers(&e.Key)
	for i, to := range [2]uint16{first, second} {
		if e.Flags&(flagOwesPrimary<<i) == 0 {
			continue
		}
		m := wire.Tracker{Key: e.Key, ClientISN: e.ClientISN, ServerISN: e.ServerISN, Server: e.Server, Ingress: e.Ingress,
			Offer: e.Offer, TTL: e.TTL, Seq: w.tick32() - e.Renewed, Primary: first, Secondary: second}
		m.Type, m.Options = wire.MsgSync, published(e)
		w.toNode(to, &m)
		sent++
	}
	return sent
}

// published says in a message how a mapping's server last published it.
func published(e *flow.Entry) (options uint8) {
	if e.Flags&flagClosing != 0 {
		options |= wire.OptClosing
	}
	if e.Flags&flagUnheard != 0 {
		options |= wire.OptUnheard
	}
	return options
}

// precedes reports whether a mapping holds against that of another tracker, age
// ticks old. What is closing, TIME_WAIT say, has lost its tuple to what is not;
// a server that the client does not speak to was offered the connection in vain;
// else the younger one is right, and of two of one age the same on both sides.
func precedes(e *flow.Entry, mine uint32, m *wire.Tracker, age uint32) bool {
	for _, loses := range [2]struct{ flag, option uint8 }{{flagClosing, wire.OptClosing}, {flagUnheard, wire.OptUnheard}} {
		if ours, theirs := e.Flags&loses.flag != 0, m.Options&loses.option != 0; ours != theirs {
			return theirs
		}
	}
	if mine != age {
		return mine < age
	}
	return e.ServerISN > m.ServerISN || e.ServerISN == m.ServerISN && e.Server > m.Server
}

// onSync takes over a mapping. Where two trackers disagree, the one whose
// mapping holds answers with it, so that both come to have the same (S-72).
func (w *Worker) onSync(m *wire.Tracker) {
	hash, from := w.hash(&m.Key), m.Sender
	age := min(m.Seq, w.cfg.Lease+1)
	if e := w.trackedEntry(&m.Key, hash); e != nil {
		if sameIncarnation(e, m) && e.Server == m.Server {
			w.ackSync(from, m)
			return
		}
		mine := w.tick32() - e.Renewed
		if precedes(e, mine, m, age) {
			w.count.add(SyncDisagreed, 1)
			m.ClientISN, m.ServerISN, m.Server, m.Ingress, m.Offer, m.TTL, m.Seq = e.ClientISN, e.ServerISN, e.Server, e.Ingress, e.Offer, e.TTL, mine
			m.Type, m.Options = wire.MsgSync, published(e)
			w.toNode(from, m)
			return
		}
	}
	if i, h := w.findHalfOpen(&m.Key, hash); h != nil && h.same(m) {
		w.removeHalfOpen(i) // it is committed: only this tracker had not heard
	}
	i, known := w.tracked.Lookup(&m.Key, hash)
	if !known {
		i = w.insert(w.tracked, &m.Key, hash)
	}
	e := w.tracked.Entry(i)
	e.ClientISN, e.ServerISN, e.Server, e.Ingress, e.Offer, e.TTL = m.ClientISN, m.ServerISN, m.Server, m.Ingress, m.Offer, m.TTL
	e.Renewed, e.Flags, e.Stamp = w.tick32()-age, w.placeFlags(&m.Key), w.cfg.Epoch
	if m.Options&wire.OptClosing != 0 {
		e.Flags |= flagClosing
	}
	if m.Options&wire.OptUnheard != 0 {
		e.Flags |= flagUnheard
	}
	w.count.add(SyncTaken, 1)
	w.ackSync(from, m)
}

// placeFlags say which part this node has for a flow.
func (w *Worker) placeFlags(k *flow.Key) (flags uint8) {
	first, second := w.view.ring.Trackers(k)
	if first == w.cfg.Self {
		flags |= flagPrimary
		if second == NoNode {
			flags |= flagLone
		}
	}
	return flags
}

func (w *Worker) ackSync(to uint16, m *wire.Tracker) {
	m.Type = wire.MsgSyncAck
	w.toNode(to, m)
}

// onSyncAck is the word of a tracker that it holds the mapping now.
func (w *Worker) onSyncAck(m *wire.Tracker) {
	e := w.trackedEntry(&m.Key, w.hash(&m.Key))
	if e == nil || !sameIncarnation(e, m) || e.Server != m.Server {
		w.count.add(DropStaleMessage, 1)
		return
	}
	w.paid(e, m.Sender)
	if e.Flags&flagUncommitted != 0 && e.Flags&flagsOwed == 0 {
		e.Flags &^= flagUncommitted
		m.Ingress = e.Ingress
		w.announceCommit(m, e)
	}
}

// paid notes that a node holds an entry.
func (w *Worker) paid(e *flow.Entry, by uint16) {
	w.settle(e)
	first, second := w.view.ring.Trackers(&e.Key)
	if by == first {
		e.Flags &^= flagOwesPrimary
	}
	if by == second {
		e.Flags &^= flagOwesSecondary
	}
}

// announceCommit tells module and ingress that both trackers hold a mapping.
func (w *Worker) announceCommit(m *wire.Tracker, e *flow.Entry) {
	mapping, commit := *m, *m
	mapping.Server, commit.Server = e.Server, e.Server
	w.tellMapping(e.Ingress, &mapping)
	commit.Type = wire.MsgCommit
	w.toServer(e.Server, &commit)
}

// rehome gives a half-open connection its place in the present ring (S-74).
func (w *Worker) rehome(i uint32) {
	h, k := &w.halfState[i], w.half.Entry(i).Key
	first, second := w.view.ring.Trackers(&k)
	switch w.cfg.Self {
	case first:
		w.leadHalfOpen(i, h, &k, second)
	case second:
		if h.role == secondary || h.stage == synSeen {
			// Who leads now learns of it with the client's ACK; until then the
			// SYN/ACK is repeated from here.
			if h.role == primary {
				h.role, h.tries = secondary, 0
				w.halfTimers.schedule(i, w.now+firstSynAck)
			}
			h.peer = first
		}
	default:
		if h.stage == synSeen {
			w.removeHalfOpen(i)
		}
	}
}

// leadHalfOpen makes this node the primary of a half-open connection, with the
// present secondary.
func (w *Worker) leadHalfOpen(i uint32, h *halfOpen, k *flow.Key, second uint16) {
	promoted := h.role == secondary
	if !promoted && h.peer == second && !w.reborn(second) {
		return
	}
	h.role, h.peer, h.tries = primary, second, 0
	switch h.stage {
	case synSeen:
		w.answerSyn(i, h, k)
	case offering:
		if second == NoNode {
			w.sendOffer(i, h, k)
		} else {
			w.sendChoice(i, h, k)
		}
	case rejected:
		h.stage = offering
		w.nextOffer(i, h, k)
	}
}

// reborn reports whether a node lost its state with the last change of the ring.
func (w *Worker) reborn(n uint16) bool {
	past := w.resync.past
	return n != NoNode && len(past) > 0 && past[len(past)-1].view.boot(n) != w.view.boot(n)
}

// Flush forgets every flow (S-59).
func (w *Worker) Flush() {
	for i := range w.pendingState {
		if w.pending.Used(uint32(i)) {
			w.dropHeld(&w.pendingState[i])
			w.pendingTimers.cancel(uint32(i))
		}
	}
	for i := range w.halfState {
		w.halfTimers.cancel(uint32(i))
	}
	for _, t := range []*flow.Table{w.mapped, w.tracked, w.half, w.pending} {
		t.Clear()
	}
	w.resync, w.sessions = resync{}, [2]sessions{}
}

// expired reports whether an entry was not published within its lease (S-42).
func (w *Worker) expired(e *flow.Entry) bool {
	return w.cfg.Lease > 0 && int32(w.tick32()-e.Renewed) > int32(w.cfg.Lease)
}

// never is a time that does not come.
const never = int64(1<<63 - 1)
