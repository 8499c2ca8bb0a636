package membership

import (
	"time"

	"weir/dataplane/wire"
)

// check is two pings of one node, one in each direction (S-51).
type check struct {
	sent     time.Duration
	nonce    [2]uint64 // by side
	got      [2]bool
	boot     [2]uint64
	repeated bool
	worker   uint8
}

func (k *check) done() bool { return k.got[0] && k.got[1] && k.boot[0] == k.boot[1] }

// Pong is an answered ping.
type Pong struct {
	Node  uint16
	Side  uint8 // of the request
	Nonce uint64
	Boot  uint64 // of its dataplane
	Noded uint64 // of its control plane
}

// neighbours are the nodes that this one checks in every interval: the next
// healthy one on either side (S-50, S-56), or simply the next one while nobody
// is known to be healthy. Both may be the same, or nil.
func (c *Core) neighbours() (left, right *peer) {
	any := c.healthy() == 0
	for _, p := range c.peers {
		if any || p.state == StateHealthy {
			if right == nil {
				right = p
			}
			left = p
		}
	}
	return left, right
}

// checks begins the checks of an interval: left, right, and one of the others at
// random, healthy or not.
func (c *Core) checks() {
	left, right := c.neighbours()
	for _, p := range c.peers {
		if p == left || p == right {
			c.check(p)
			p.due = c.now
		} else {
			c.acquit(p)
		}
	}
	if p := c.pick(func(p *peer) bool { return p != left && p != right }); p != nil {
		c.check(p)
	}
}

// check sends the two pings of a check.
func (c *Core) check(p *peer) {
	k := &p.checks[p.next]
	worker := c.worker(p)
	*k = check{sent: c.now, nonce: [2]uint64{c.rng.Uint64(), c.rng.Uint64()}, worker: worker}
	p.next = (p.next + 1) % len(p.checks)
	for side := range uint8(2) {
		c.out.Ping(p.number, side, k.nonce[side], worker)
	}
}

// worker is the next one in rotation (S-51).
func (c *Core) worker(p *peer) uint8 { return p.latest().worker + 1 }

func (p *peer) latest() *check { return &p.checks[(p.next+len(p.checks)-1)%len(p.checks)] }

// repeat sends pings once more that have not been answered for half an interval:
// one lost datagram is no miss.
func (c *Core) repeat() {
	for _, p := range c.peers {
		k := p.latest()
		if k.sent == 0 || k.repeated || k.done() || c.now-k.sent < c.cfg.Interval/2 {
			continue
		}
		k.repeated = true
		for side := range uint8(2) {
			if !k.got[side] {
				c.out.Ping(p.number, side, k.nonce[side], k.worker)
			}
		}
	}
}

// Pong reports an answered ping. It is false if the answer belongs to no ping of
// ours: it is too old, a copy, or a forgery.
func (c *Core) Pong(now time.Duration, a Pong) bool {
	c.at(now)
	if a.Node == c.cfg.Self {
		return c.isolation.pong(a.Nonce, c.now)
	}
	p := c.byNum[a.Node]
	if p == nil || a.Side > wire.PingSouth || a.Boot == 0 {
		return false
	}
	for i := range p.checks {
		k := &p.checks[i]
		if k.sent == 0 || k.nonce[a.Side] != a.Nonce || k.got[a.Side] {
			continue
		}
		k.got[a.Side], k.boot[a.Side] = true, a.Boot
		c.answer(p, k, a)
		return true
	}
	return false
}

// answer is one answered ping of a check.
func (c *Core) answer(p *peer, k *check, a Pong) {
	p.half = max(p.half, k.sent)
	if a.Noded != p.noded && k.sent >= p.proved {
		p.noded, p.window = a.Noded, wire.Window{}
	}
	p.proved = max(p.proved, k.sent)
	if p.over(a.Boot) {
		// It lives on under a boot id that others hold for ended: it must know.
		c.tell(p, wire.Death{Number: p.number, By: c.cfg.Self, Boot: a.Boot, Beats: wire.DeathFinal})
		return
	}
	if a.Boot != p.boot {
		was := p.boot
		c.meet(p, a.Boot)
		if was != 0 {
			c.flood(wire.Death{Number: p.number, By: c.cfg.Self, Boot: was, Beats: wire.DeathFinal})
		}
	}
	if k.done() {
		c.success(p, k.sent)
	}
}

// success is a check that was answered in both directions. An answer that comes
// late is an answer.
func (c *Core) success(p *peer, sent time.Duration) {
	if p.dead && sent <= p.died {
		return
	}
	p.answered = max(p.answered, sent)
	c.acquit(p)
	c.tellAskers(p)
	if p.state != StateUnhealthy {
		p.beats++
		c.rise(p)
		return
	}
	// It was given up, and lives. All must hear that, and first of all the node
	// itself: it has to synchronise before it is announced again.
	d := wire.Death{Number: p.number, By: c.cfg.Self, Boot: p.boot, Beats: p.beats}
	if p.dead {
		d.By, d.Beats = p.deadBy, p.deadBeats
	}
	p.beats = max(p.beats, d.Beats+2*margin) + 1
	c.rise(p)
	c.tell(p, d)
	c.spread(p)
}
