package membership

import (
	"fmt"
	"time"

	"weir/dataplane/wire"
)

// judge counts the checks of the last interval that were not answered (S-57).
func (c *Core) judge() {
	// Three misses take longer than this: if they are our own dataplane's fault,
	// that is known in time.
	if c.now-c.own.heard > c.cfg.Interval*time.Duration(2*c.cfg.Misses-1)/2 {
		for _, p := range c.peers {
			p.due = 0
			c.acquit(p)
		}
		return
	}
	for _, p := range c.peers {
		due := p.due
		p.due = 0
		if due == 0 || p.state != StateHealthy || p.answered >= due {
			continue
		}
		if p.misses == 0 {
			p.missing = due
		}
		p.misses++
		c.ask(p)
		c.decide(p)
	}
}

// witnesses calls each with the nodes whose opinion on p is asked: the two
// nearest healthy ones on either side of it, who know it best, and one at random.
func (c *Core) witnesses(p *peer, each func(w *peer)) {
	at, n := 0, len(c.peers)
	for i := range c.peers {
		if c.peers[i] == p {
			at = i
		}
	}
	var found [4]*peer
	for dir, step := range [2]int{1, n - 1} {
		for i, k := 1, 0; i < n && k < 2; i++ {
			w := c.peers[(at+i*step)%n]
			if w.state == StateHealthy && !contains(found[:], w) {
				found[dir*2+k] = w
				k++
			}
		}
	}
	for _, w := range found {
		if w != nil {
			each(w)
		}
	}
	if w := c.pick(func(w *peer) bool { return w != p && w.state == StateHealthy && !contains(found[:], w) }); w != nil {
		each(w)
	}
}

func contains(list []*peer, p *peer) bool {
	for _, q := range list {
		if q == p {
			return true
		}
	}
	return false
}

// ask asks for a second opinion on p.
func (c *Core) ask(p *peer) {
	since := min((c.now-p.missing)/time.Millisecond, 0xffff)
	c.urgent.Reset()
	c.urgent.Asks = append(c.urgent.Asks, wire.Ask{Number: p.number, Since: uint16(since), Boot: p.boot})
	c.witnesses(p, func(w *peer) { c.send(w, &c.urgent) })
}

// asked answers a question if we can, and looks ourselves.
func (c *Core) asked(from *peer, q wire.Ask) {
	p := c.byNum[q.Number]
	if p == nil || p == from || p.boot != q.Boot {
		return
	}
	since := c.now - time.Duration(q.Since)*time.Millisecond
	if p.answered > since {
		c.opine(from, p, true)
		return
	}
	var a *asker
	for i := range p.askers {
		if p.askers[i].number == from.number {
			a = &p.askers[i]
		}
	}
	if a == nil {
		p.askers = append(p.askers, asker{number: from.number})
		a = &p.askers[len(p.askers)-1]
	}
	if c.now-a.last > 2*c.cfg.Interval {
		a.first = c.now
	}
	a.last, a.since = c.now, since
	if c.now-p.latest().sent >= c.cfg.Interval/4 {
		c.check(p)
	}
	if p.misses > 0 || p.dead || c.now-a.first >= c.cfg.Interval/2 {
		c.opine(from, p, false)
	}
}

func (c *Core) opine(to, p *peer, alive bool) {
	c.urgent.Reset()
	c.urgent.Opinions = append(c.urgent.Opinions, wire.Opinion{Number: p.number, Alive: alive, Boot: p.boot})
	c.send(to, &c.urgent)
}

// tellAskers tells those who asked that p has answered.
func (c *Core) tellAskers(p *peer) {
	for _, a := range p.askers {
		if from := c.byNum[a.number]; from != nil && c.now-a.last <= 5*c.cfg.Interval && p.answered > a.since {
			c.opine(from, p, true)
		}
	}
	p.askers = p.askers[:0]
}

// opinion takes a second opinion.
func (c *Core) opinion(o wire.Opinion) {
	p := c.byNum[o.Number]
	switch {
	case p == nil || p.boot != o.Boot || p.misses == 0:
	case o.Alive:
		c.acquit(p)
	default:
		p.agreed = true
		c.decide(p)
	}
}

// decide finds p dead if it missed enough checks and somebody agrees, unless
// there is nobody else to ask.
func (c *Core) decide(p *peer) {
	if p.misses < c.cfg.Misses || p.state != StateHealthy || !p.agreed && c.healthy() > 1 {
		return
	}
	death := wire.Death{Number: p.number, By: c.cfg.Self, Boot: p.boot, Beats: p.beats}
	c.die(p, death)
	c.flood(death)
}

// die marks p dead.
func (c *Core) die(p *peer, d wire.Death) {
	if p.state != StateUnhealthy {
		c.out.Event(Event{Kind: Died, Number: p.number, By: d.By, Boot: p.boot, Detail: fmt.Sprintf("%d heartbeats", d.Beats)})
	}
	p.dead, p.died, p.deadBy, p.deadBeats = true, c.now, d.By, max(d.Beats, p.beats)
	p.state = StateUnhealthy
	c.acquit(p)
	c.changed()
}

// flood tells everybody of a death, also who died: if it lives, it must know.
func (c *Core) flood(d wire.Death) {
	for _, p := range c.peers {
		if p.state == StateHealthy || p.number == d.Number {
			c.tell(p, d)
		}
	}
}

// tell tells one node of a death.
func (c *Core) tell(p *peer, d wire.Death) {
	c.urgent.Reset()
	c.urgent.Deaths = append(c.urgent.Deaths, d)
	c.send(p, &c.urgent)
}

// relays is how many others hear of a death from each who hears of it: what the
// finder's datagrams miss arrives by another way.
const relays = 3

// death takes the news of a death.
func (c *Core) death(from *peer, d wire.Death) {
	if d.Number == c.cfg.Self {
		c.ownDeath(d)
		return
	}
	p := c.byNum[d.Number]
	if p == nil || d.Boot == 0 || from.state != StateHealthy || p == from {
		return
	}
	final := d.Beats == wire.DeathFinal
	switch {
	case d.Boot != p.boot && final:
		c.end(p, d.Boot)
	case d.Boot != p.boot:
		if p.boot == 0 && !p.over(d.Boot) {
			p.boot, p.record = d.Boot, wire.NodeRecord{Number: p.number, Boot: d.Boot}
			c.die(p, d)
		}
	case p.dead:
		if !final && p.deadBeats != wire.DeathFinal {
			p.deadBeats = max(p.deadBeats, d.Beats)
		}
	case final:
		c.end(p, d.Boot)
		c.fell(p, d)
		p.deadBeats = wire.DeathFinal - 2*margin - 1 // nothing exceeds it
	case p.beats > d.Beats+margin:
		// Old news: it was refuted.
	case p.answered > 0 && c.now-p.answered < c.cfg.Interval:
		// It has just answered us.
		p.beats = max(p.beats, d.Beats+2*margin) + 1
		c.rise(p)
		c.out.Event(Event{Kind: Refuted, Number: p.number, By: c.cfg.Self, Boot: p.boot})
		c.tell(p, d)
		c.spread(p)
	default:
		c.fell(p, d)
	}
}

// fell is a death that is news to us.
func (c *Core) fell(p *peer, d wire.Death) {
	c.die(p, d)
	c.tell(p, d)
	for range relays {
		if q := c.pick(func(q *peer) bool { return q.state == StateHealthy && q.number != d.By }); q != nil {
			c.tell(q, d)
		}
	}
}
