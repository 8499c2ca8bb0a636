package agent

import (
	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

func idOf(m *wire.Tracker) offerID {
	return offerID{key: m.Key, clientISN: m.ClientISN, serverISN: m.ServerISN, offer: m.Offer}
}

// offer handles a fabricated SYN. Whatever was answered before is answered
// again in the same words (S-10).
func (c *Core) offer(now int64, m *wire.Tracker) {
	if h := c.handshakes[m.Key]; h != nil {
		if h.same(m) {
			c.counters.OffersRepeated++
			h.offer.Header, h.offer.Offer, h.offer.TTL = m.Header, m.Offer, m.TTL
			if h.answer {
				c.sendAccept(&h.offer)
			}
			return
		}
		if _, over := c.ended.get(idOf(m)); over {
			c.counters.OffersRepeated++
			return
		}
		// The client has begun anew; what was never committed is void.
		c.ended.put(now, idOf(&h.offer), wire.RejectNone)
		c.end(h)
	}
	if reason, over := c.ended.get(idOf(m)); over {
		c.counters.OffersRepeated++
		if reason != wire.RejectNone {
			c.sendReject(now, m, reason)
		}
		return
	}
	old, known := c.flows.Get(&m.Key)
	if known && old.ClientISN == m.ClientISN && old.ServerISN == m.ServerISN {
		c.counters.OffersRepeated++
		c.sendAccept(m)
		return
	}
	if reason := c.judge(now, m); reason != wire.RejectNone {
		c.sendReject(now, m, reason)
		return
	}
	if known {
		c.flows.Delete(&m.Key)
	}
	c.begin(now, m)
}

// judge decides on a new offer; what cannot be done comes before what is unwise.
func (c *Core) judge(now int64, m *wire.Tracker) uint8 {
	e := c.endpoint(&m.Key)
	if e == nil {
		return wire.RejectEndpoint
	}
	if c.draining {
		return wire.RejectDraining
	}
	if c.sockets.Lookup(&m.Key) == SocketLive {
		return wire.RejectTuple
	}
	if len(c.handshakes) >= maxHandshakes {
		return wire.RejectBacklog
	}
	reason := c.admission.Admit(now, &m.Key)
	if reason != wire.RejectNone && (m.Options&wire.OptMustAccept != 0 || e.AcceptAfter > 0 && m.Offer >= e.AcceptAfter) {
		c.counters.Forced++
		return wire.RejectNone
	}
	return reason
}

// sendReject answers an offer and remembers the answer.
func (c *Core) sendReject(now int64, offer *wire.Tracker, reason uint8) {
	if _, known := c.ended.get(idOf(offer)); !known {
		c.counters.Rejected[reason]++
	}
	c.ended.put(now, idOf(offer), reason)
	n := c.nodes[offer.Sender]
	if n == nil {
		return
	}
	m := *offer
	m.Reason = reason
	if m.TTL > 0 {
		m.TTL--
	}
	c.send(n, wire.MsgReject, &m)
}

// store puts a flow into the map. When the map is full, a connection that has
// closed makes room (S-86).
func (c *Core) store(k *flow.Key, f *Flow) bool {
	if c.flows.Put(k, f) == nil {
		return true
	}
	return c.evict() && c.flows.Put(k, f) == nil
}
