package agent

import "weir/dataplane/flow"

// Pace of the collector.
const (
	collectEvery = 1e9    // ns between steps
	collectStep  = 100000 // entries per step at most
	idleAfter    = 5e9    // ns without a packet before the kernel is asked
	lookupsStep  = 2000   // questions to the kernel per step at most
	maxClosing   = 4096   // candidates for eviction that are remembered
)

// collector walks the flow map slowly, round and round.
type collector struct {
	walk         Walker
	next         int64
	counted      int // of the walk under way
	established  int // by the last whole walk
	acceptedThen uint64
	closing      []flow.Key // seen closing, oldest first
}

func (g *collector) count(f *Flow) {
	if f.State == Established && !f.Closing() {
		g.counted++
	}
}

// finish ends a walk; accepted is how many connections were taken so far.
func (g *collector) finish(accepted uint64) {
	g.established, g.counted, g.acceptedThen = g.counted, 0, accepted
}

// collect makes one step: it counts connections and deletes the entries whose
// socket the kernel has forgotten, TIME_WAIT included (S-21).
func (c *Core) collect(now int64) (next int64) {
	g := &c.gc
	if now < g.next {
		return g.next
	}
	g.next = now + collectEvery
	c.ended.forget(now - endedFor)
	var idle []flow.Key
	end := g.walk.Walk(collectStep, func(k *flow.Key, f *Flow) {
		g.count(f)
		if f.State != Established {
			return // the handshake's timers decide
		}
		if now-f.LastSeen > idleAfter && len(idle) < lookupsStep {
			idle = append(idle, *k)
		} else if f.Closing() && len(g.closing) < maxClosing {
			g.closing = append(g.closing, *k)
		}
	})
	for i := range idle {
		if c.sockets.Lookup(&idle[i]) == SocketNone {
			c.flows.Delete(&idle[i])
			c.counters.Collected++
		}
	}
	if end {
		g.finish(c.counters.Accepted)
	}
	return g.next
}

// Destroyed hears that the kernel destroyed a socket. What is left of it, if
// anything, is its TIME_WAIT, which the slow walk outlives.
func (c *Core) Destroyed(k *flow.Key) {
	if f, ok := c.flows.Get(k); ok && f.State == Established && c.sockets.Lookup(k) == SocketNone {
		c.flows.Delete(k)
		c.counters.Collected++
	}
}

// evict deletes one connection that has closed; only the kernel's TIME_WAIT,
// or nothing, is left of it.
func (c *Core) evict() bool {
	g := &c.gc
	for len(g.closing) > 0 {
		k := g.closing[0]
		g.closing = g.closing[1:]
		if f, ok := c.flows.Get(&k); ok && f.Closing() && c.sockets.Lookup(&k) != SocketLive {
			c.flows.Delete(&k)
			c.counters.Evicted++
			return true
		}
	}
	return false
}
