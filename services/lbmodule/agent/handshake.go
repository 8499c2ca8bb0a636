package agent

import (
	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// Times of the handshake, in ns.
const (
	silence        = 200e6 // without a SYN/ACK an offer is rejected (S-27)
	firstRepeat    = 20e6  // of an accept; doubles each time
	longUnanswered = 200e6 // between two accepts: from here on both of the flow's trackers get them
	giveUp         = 5e9   // after the first accept without a commit
)

// maxHandshakes bounds what offers can make the core hold.
const maxHandshakes = 65536

// handshake is an offer that was taken, until its commit.
type handshake struct {
	offer  wire.Tracker // as received; the answer's fields are copied from it
	flow   Flow         // complete once answered
	answer bool         // the kernel sent its SYN/ACK: accepts are being repeated
	since  int64        // of the SYN, then of the first accept
	repeat int64        // ns until the next accept
	due    int64
	index  int // in the timers
}

func (h *handshake) same(m *wire.Tracker) bool {
	return h.offer.ClientISN == m.ClientISN && h.offer.ServerISN == m.ServerISN
}

// begin gives the kernel a SYN as the client sent it, less what we decline.
func (c *Core) begin(now int64, m *wire.Tracker) {
	h := &handshake{offer: *m, since: now, due: now + silence}
	c.handshakes[m.Key] = h
	c.due.push(h)
	c.injectSYN(m)
}

// drop forgets a handshake.
func (c *Core) drop(h *handshake) {
	c.due.remove(h)
	delete(c.handshakes, h.offer.Key)
}

// synAck is the kernel's answer to the fabricated SYN: it gives the deltas of
// translation (S-22), and the accept.
func (c *Core) synAck(now int64, h *handshake, in *packet.Info, opts *packet.TCPOptions) {
	m := &h.offer
	if in.Ack != m.ClientISN+1 {
		c.counters.StrayFrames++
		return
	}
	if !honours(m, opts) {
		c.reject(now, h, wire.RejectOptions)
		return
	}
	h.flow = Flow{
		LastSeen:  now,
		ClientISN: m.ClientISN, ServerISN: m.ServerISN,
		SeqDelta:    m.ServerISN - in.Seq,
		ClientTSval: m.TSval,
		Primary:     m.Primary, Secondary: m.Secondary, Ingress: m.Ingress,
		Window: m.Window, Offer: m.Offer, Options: m.Options, State: Pending,
	}
	f := &h.flow
	if opts.Timestamps {
		f.TSDelta, f.KernelTSval = m.TSecr-opts.TSval, opts.TSval
	}
	if m.WScale != wire.NoWScale {
		f.WindowShift = int8(opts.WScale) - int8(c.cfg.WScale)
	}
	c.chooseEgress(&m.Key, f)
	if !c.store(&m.Key, f) {
		c.reject(now, h, wire.RejectConnections)
		return
	}
	h.answer, h.since, h.repeat = true, now, firstRepeat
	c.admission.Accepted(now)
	c.counters.Accepted++
	// A repeated SYN, which makes the kernel repeat its SYN/ACK: then it takes
	// the time until the last ACK for no round trip (Karn). It would measure the
	// way to the trackers, a thousandth of that to the client, and congestion
	// control that models the path (BBR) would believe it for ten seconds.
	c.injectSYN(m)
	c.accept(now, h)
}

// honours reports whether the kernel agreed to what the trackers promised. An
// option that was not offered cannot be in its answer.
func honours(m *wire.Tracker, o *packet.TCPOptions) bool {
	return o.SACKPermitted == (m.Options&wire.OptSACK != 0) &&
		o.Timestamps == (m.Options&wire.OptTimestamps != 0) &&
		(o.WScale != packet.NoWScale) == (m.WScale != wire.NoWScale)
}

// accept sends the accept, the first time or again.
func (c *Core) accept(now int64, h *handshake) {
	h.due = now + h.repeat
	h.repeat *= 2
	c.due.move(h)
	c.sendAccept(&h.offer)
	if h.repeat > longUnanswered {
		// Who made the offer may be gone; whoever tracks the flow now takes it.
		first, second := c.ring.Trackers(&h.offer.Key)
		for _, number := range [2]uint16{first, second} {
			if number != h.offer.Sender {
				c.sendAcceptTo(number, &h.offer)
			}
		}
	}
}

func (c *Core) sendAccept(offer *wire.Tracker) { c.sendAcceptTo(offer.Sender, offer) }

func (c *Core) sendAcceptTo(number uint16, offer *wire.Tracker) {
	if n := c.nodes[number]; n != nil {
		m := *offer
		c.send(n, wire.MsgAccept, &m)
	}
}

// reject ends a handshake that the kernel or we do not want.
func (c *Core) reject(now int64, h *handshake, reason uint8) {
	c.drop(h)
	if reason != wire.RejectRST {
		c.injectRST(&h.offer.Key, h.offer.ClientISN+1)
	}
	c.sendReject(now, &h.offer, reason)
}

// expire handles a handshake whose time has come.
func (c *Core) expire(now int64, h *handshake) {
	if !h.answer {
		c.reject(now, h, wire.RejectSilence)
		return
	}
	if f, ok := c.flows.Get(&h.offer.Key); ok && f.State == Established {
		// The client's packets came through a mapping, so both trackers hold it.
		c.drop(h)
		c.counters.Committed++
		return
	}
	if now-h.since >= giveUp {
		c.counters.Abandoned++
		c.end(h)
		return
	}
	c.accept(now, h)
}

// commit lets the kernel's handshake complete: from now on the server's bytes
// may flow (S-18), also when it speaks first (S-14).
func (c *Core) commit(m *wire.Tracker) {
	h := c.handshakes[m.Key]
	if h == nil || !h.answer || !h.same(m) {
		return
	}
	c.drop(h)
	c.counters.Committed++
	c.injectACK(&m.Key, &h.flow, Handshake)
}

// superseded ends an offer that lost to another, without a word to the client (S-18).
func (c *Core) superseded(now int64, m *wire.Tracker) {
	if h := c.handshakes[m.Key]; h != nil {
		if h.same(m) && h.offer.Offer == m.Offer {
			c.counters.Superseded++
			c.ended.put(now, idOf(m), wire.RejectNone)
			c.end(h)
		}
		return
	}
	f, ok := c.flows.Get(&m.Key)
	if !ok || f.ClientISN != m.ClientISN || f.ServerISN != m.ServerISN || f.Offer != m.Offer {
		c.ended.put(now, idOf(m), wire.RejectNone)
		return
	}
	c.counters.Superseded++
	c.ended.put(now, idOf(m), wire.RejectNone)
	c.flows.Delete(&m.Key)
	c.injectRST(&m.Key, m.ClientISN+1)
}

// end takes a handshake back: first the entry, so that nothing of it reaches
// the client, then the kernel's socket.
func (c *Core) end(h *handshake) {
	c.drop(h)
	if h.answer {
		c.flows.Delete(&h.offer.Key)
	}
	c.injectRST(&h.offer.Key, h.offer.ClientISN+1)
}

// Recover takes over handshakes that an earlier agent began: their flows are
// in the map, accepted but not committed (S-26).
func (c *Core) Recover(now int64) {
	type pending struct {
		k flow.Key
		f Flow
	}
	c.now, c.seq = now, max(c.seq, uint64(now/1e3))
	c.publisher.start(now, int64(c.cfg.Publish), c.flows.Walker(), c.cfg.Boot^uint64(c.cfg.Server))
	var found []pending
	all := c.flows.Walker()
	for end := false; !end; {
		end = all.Walk(1024, func(k *flow.Key, f *Flow) {
			c.gc.count(f)
			if f.State == Pending {
				found = append(found, pending{*k, *f})
			}
		})
	}
	c.gc.finish(0)
	for i := range found {
		k, f := &found[i].k, &found[i].f
		sender := f.Secondary
		if sender == NoNode {
			sender = f.Primary // a lone node is both
		}
		h := &handshake{flow: *f, answer: true, since: now, repeat: firstRepeat, due: now, offer: wire.Tracker{
			Header: wire.Header{Sender: sender}, Key: *k,
			ClientISN: f.ClientISN, ServerISN: f.ServerISN, TSval: f.ClientTSval, TSecr: f.KernelTSval + f.TSDelta,
			Window: f.Window, Offer: f.Offer, Options: f.Options,
			Ingress: f.Ingress, Primary: f.Primary, Secondary: f.Secondary,
		}}
		c.handshakes[*k] = h
		c.due.push(h)
	}
}
