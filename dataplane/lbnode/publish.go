package lbnode

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// A publication is a server's word that it has a connection (S-40). The slow
// worker checks and splits what comes (slow_publish.go); here each worker takes
// those of its own flows: they renew leases, and they bring back what was lost
// (S-42, S-44).

// standsFor is how long a renewed entry outlives publications of another
// incarnation of its tuple at least, in ticks: the old one's last words may come
// late. Half a lease is more where publications are rare.
const standsFor = 30

// inside takes what the slow worker handed over.
func (w *Worker) inside(b *packet.Buf) {
	r, err := wire.ReadPublications(b.Bytes())
	if err != nil {
		w.count.add(DropBadMessage, 1)
		return
	}
	var p wire.Publication
	n := uint64(0)
	for r.Next(&p) {
		w.onPublication(&p)
		n++
	}
	w.count.add(PublicationEntries, n)
}

func (w *Worker) onPublication(p *wire.Publication) {
	hash := w.hash(&p.Key)
	first, second := w.view.ring.Trackers(&p.Key)
	if first == w.cfg.Self || second == w.cfg.Self {
		w.publishTracked(p, hash)
	}
	i, waiting := w.pending.Lookup(&p.Key, hash)
	if waiting {
		m := wire.Tracker{ClientISN: p.ClientISN, ServerISN: p.ServerISN}
		waiting = w.pendingState[i].accepts(&m)
	}
	if (p.Ingress == w.cfg.Self || waiting) && w.publishMapped(p, hash) && waiting {
		w.release(i, p.Server, hash)
	}
}

// publishTracked renews or restores a tracker's entry.
func (w *Worker) publishTracked(p *wire.Publication, hash uint64) {
	i, known := w.tracked.Lookup(&p.Key, hash)
	if known && !w.admits(w.tracked.Entry(i), p) {
		w.tellReplaced(p)
		return
	}
	if j, h := w.findHalfOpen(&p.Key, hash); h != nil && h.clientISN == p.ClientISN && h.serverISN == p.ServerISN {
		// The connection is past its handshake: only this tracker had not heard.
		if h.stage == refused {
			return // and the client was reset
		}
		w.removeHalfOpen(j)
	}
	fresh := !known
	if !known {
		i = w.insert(w.tracked, &p.Key, hash)
	}
	e := w.tracked.Entry(i)
	if fresh || !isOf(e, p) {
		e.ClientISN, e.ServerISN, e.Server, e.Ingress, e.Offer, e.TTL, e.Flags = p.ClientISN, p.ServerISN, p.Server, p.Ingress, 0, 0, w.placeFlags(&p.Key)
		e.Stamp = w.cfg.Epoch // the other tracker got the same publication
		w.count.add(TrackedRestored, 1)
	} else {
		w.count.add(LeasesRenewed, 1)
	}
	if p.Ingress != NoNode {
		e.Ingress = p.Ingress
	}
	e.Renewed = w.tick32()
	mark(e, p)
}

// mark notes what a server said of a connection.
func mark(e *flow.Entry, p *wire.Publication) {
	e.Flags &^= flagClosing | flagUnheard
	if p.Closing {
		e.Flags |= flagClosing
	}
	if !p.Heard {
		e.Flags |= flagUnheard
	}
}

// publishMapped renews or restores an ingress's entry and reports whether the
// entry is that of the publication now.
func (w *Worker) publishMapped(p *wire.Publication, hash uint64) bool {
	i, known := w.mapped.Lookup(&p.Key, hash)
	if known && !w.admits(w.mapped.Entry(i), p) {
		return false
	}
	if !known {
		if p.Closing {
			return false // its tuple may be in use again: the trackers know
		}
		i = w.insert(w.mapped, &p.Key, hash)
	}
	e := w.mapped.Entry(i)
	if known && isOf(e, p) {
		w.count.add(LeasesRenewed, 1)
	} else {
		e.ClientISN, e.ServerISN, e.Server = p.ClientISN, p.ServerISN, p.Server
		e.Flags &^= flagReopening
		w.count.add(MappingsRestored, 1)
	}
	e.Renewed = w.tick32()
	mark(e, p)
	return true
}

// tellReplaced lets the ingress of a connection that is closing know that its
// tuple carries another one by now, whose packets may come its way.
func (w *Worker) tellReplaced(p *wire.Publication) {
	if first, _ := w.view.ring.Trackers(&p.Key); !p.Closing || p.Ingress == NoNode || first != w.cfg.Self {
		return
	}
	m := wire.Tracker{Key: p.Key, ClientISN: p.ClientISN, ServerISN: p.ServerISN, Server: p.Server, Ingress: p.Ingress}
	m.Type = wire.MsgGone
	w.toNode(p.Ingress, &m)
}

// admits reports whether a publication may renew or replace an entry of its
// tuple. One of another incarnation, or of another server, loses against an
// entry that was renewed just now; when its connection is closing, which may
// mean that the tuple has been taken into use again, against every lease.
func (w *Worker) admits(e *flow.Entry, p *wire.Publication) bool {
	if e.Flags&flagClosing != 0 && !p.Closing {
		return true // the tuple is in use again, and this node had not heard
	}
	if e.Flags&flagUnheard != 0 && p.Heard && !p.Closing {
		return true // the other server was offered a connection of the tuple in vain, and still has its socket
	}
	age := w.tick32() - e.Renewed
	if isOf(e, p) || age >= max(standsFor, w.cfg.Lease/2) && !p.Closing || age > w.cfg.Lease && w.cfg.Lease != 0 {
		return true
	}
	w.count.add(PublicationsOutdated, 1)
	return false
}

// isOf reports whether an entry is that of a publication.
func isOf(e *flow.Entry, p *wire.Publication) bool {
	return e.ClientISN == p.ClientISN && e.ServerISN == p.ServerISN && e.Server == p.Server
}

// insert adds a flow that is not in the table. When the table is full, one
// whose lease has ended goes first (S-42, S-86).
func (w *Worker) insert(t *flow.Table, k *flow.Key, hash uint64) uint32 {
	i, ev := t.Insert(k, hash, w.tick32()-w.cfg.Lease)
	if ev.Cause != flow.EvictedNone {
		w.count.add(FlowsEvicted, 1)
	}
	return i
}
