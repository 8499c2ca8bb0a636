package agent

import (
	"math/rand/v2"
	"net/netip"

	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/wire"
)

// Pace of publishing (S-40, S-43).
const (
	sliceCount  = 10   // of an interval at least
	publishStep = 4096 // flows per step at most
	hurryStep   = 1e6  // ns between the steps of a publication at once
	hurryJitter = 50e6 // ns: modules that learn of a change together do not answer together
)

// publisher walks the flow map and tells the LB nodes of every connection.
type publisher struct {
	walk    Walker
	next    int64 // of the next step
	begun   int64 // of the walk under way
	flows   int   // in the last whole walk
	counted int   // in this one
	w       wire.Publications
	random  *rand.Rand
	urgent  urgent
}

// urgent is a walk at once, because nodes changed.
type urgent struct {
	walk    Walker // nil: none is under way
	next    int64
	changed map[uint16]bool
	before  *hashring.Ring
}

// start begins to publish; where in the interval is left to chance, so that
// many modules spread over it.
func (p *publisher) start(now, interval int64, walk Walker, seed uint64) {
	p.random = rand.New(rand.NewPCG(seed, uint64(now)))
	p.walk, p.next = walk, now
	if interval > 0 {
		p.next += p.random.Int64N(interval)
	}
	p.begun = p.next
}

// hurry has the connections published at once that the changed nodes matter
// to; before is the ring before the change.
func (c *Core) hurry(changed map[uint16]bool, before *hashring.Ring) {
	u := &c.publisher.urgent
	if c.publisher.walk == nil {
		return // not started yet
	}
	if u.walk == nil {
		*u = urgent{next: c.now + c.publisher.random.Int64N(hurryJitter), changed: changed, before: before}
	}
	for number := range changed {
		u.changed[number] = true
	}
	u.walk = c.flows.Walker() // from the beginning again
}

// publish does the steps that are due and returns when the next one is.
func (c *Core) publish(now int64) (next int64) {
	p := &c.publisher
	interval := int64(c.cfg.Publish)
	if interval <= 0 {
		return never
	}
	if now >= p.next {
		c.publishSlice(now, interval)
	}
	next = p.next
	if u := &p.urgent; u.walk != nil {
		if now >= u.next {
			c.publishAffected(now)
		}
		if u.walk != nil {
			next = min(next, u.next)
		}
	}
	return next
}

// publishSlice publishes the next part of the map: all of it in an interval,
// in equal slices, however many flows there are. A walk that takes longer, for
// there are more flows than were known, goes on in the largest steps.
func (c *Core) publishSlice(now, interval int64) {
	p := &c.publisher
	flows := max(p.flows, p.counted, c.Established())
	steps := max(sliceCount, (flows+publishStep-1)/publishStep)
	n := flows/steps + 1
	if now-p.begun >= interval {
		n = publishStep
	}
	end := p.walk.Walk(n, func(k *flow.Key, f *Flow) {
		p.counted++
		c.publishFlow(k, f, 1)
	})
	c.sendPublications(1)
	p.next = now + interval/int64(steps)
	if end {
		p.flows, p.counted = p.counted, 0
		p.begun = max(p.begun+interval, now+hurryStep)
		p.next = p.begun
	}
}

// publishAffected publishes the next part of the map as far as the changed
// nodes matter to it, twice.
func (c *Core) publishAffected(now int64) {
	u := &c.publisher.urgent
	u.next = now + hurryStep
	end := u.walk.Walk(publishStep, func(k *flow.Key, f *Flow) {
		if c.affected(k, f) {
			c.publishFlow(k, f, 2)
		}
	})
	c.sendPublications(2)
	if end {
		*u = urgent{}
	}
}

// affected reports whether a changed node is, was or becomes one of those that
// hold state of a flow.
func (c *Core) affected(k *flow.Key, f *Flow) bool {
	u := &c.publisher.urgent
	if u.changed[f.Ingress] {
		return true
	}
	p, s := u.before.Trackers(k)
	if u.changed[p] || u.changed[s] {
		return true
	}
	p, s = c.ring.Trackers(k)
	return u.changed[p] || u.changed[s]
}

// publishFlow adds a flow to the datagram in the making. Before the commit
// there is nothing to publish: the accept is repeated until then.
func (c *Core) publishFlow(k *flow.Key, f *Flow, copies int) {
	if f.State != Established {
		return
	}
	// FIN_WAIT alone is not closing, otherwise than S-40 has it: the client of a
	// half-closed connection may speak for hours, and a TIME_WAIT of the tuple's
	// last life, on another server, must not count as much.
	e := wire.Publication{Key: *k, ClientISN: f.ClientISN, ServerISN: f.ServerISN, Server: c.cfg.Server, Ingress: f.Ingress,
		Closing: f.Closing(), Heard: f.Flags&FlagHeard != 0}
	if w := &c.publisher.w; !w.Add(&e) {
		c.sendPublications(copies)
		w.Add(&e)
	}
}

// sendPublications sends the datagram in the making, if there is something in
// it, to so many nodes, each chosen at random.
func (c *Core) sendPublications(copies int) {
	p := &c.publisher
	if p.w.Len() == 0 {
		return
	}
	defer p.w.Reset()
	if len(c.targets) == 0 {
		c.counters.NotIntroduced++
		return
	}
	c.counters.Published += uint64(p.w.Len())
	first := p.random.IntN(len(c.targets))
	for i := range min(copies, len(c.targets)) {
		if i > 0 {
			first += 1 + p.random.IntN(len(c.targets)-1)
		}
		to := c.targets[first%len(c.targets)]
		var h wire.Header
		c.header(&h, wire.MsgPublish)
		d := p.w.Datagram()
		wire.Seal(d, &h, c.pairKey(to))
		c.out.Send(wire.PortTracker, netip.AddrPortFrom(to.Address, wire.PortPublish), d)
		c.counters.Publications++
	}
}
