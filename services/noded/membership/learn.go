package membership

import (
	"time"

	"weir/dataplane/wire"
)

const (
	// aloneAfter is how many intervals a node looks for others before it
	// believes that there are none.
	aloneAfter = 20
	// learnFor is how many intervals it waits for an answer of those it met.
	// When all have just started nobody answers, but by then all have met all.
	// A node that lives on from before has more to lose by haste: its ring.
	learnFor, learnAgain = 5, 15
)

// learning is how a node that has just started gets to know what the others
// know, before it draws conclusions from not knowing anybody.
type learning struct {
	done  bool
	since time.Duration

	// the answer that is being received
	from  uint16
	round uint32
	got   [4]uint64 // parts, a bit each
	parts int
}

// part notes a part of an answer.
func (l *learning) part(from uint16, g *wire.Gossip, now time.Duration) {
	if l.done || g.Parts == 0 || g.Part >= g.Parts {
		return
	}
	if from != l.from || g.Round != l.round {
		l.from, l.round, l.got, l.parts = from, g.Round, [4]uint64{}, 0
	}
	if bit := uint64(1) << (g.Part % 64); l.got[g.Part/64]&bit == 0 {
		l.got[g.Part/64] |= bit
		l.parts++
	}
	l.done = l.parts == int(g.Parts)
}

// pull asks two nodes that have proved who they are for all they know, until one
// has answered in full.
func (c *Core) pull() {
	l := &c.learn
	if l.done || c.own.record.Boot == 0 {
		// Without a dataplane no ping is answered.
		l.since = c.now
		return
	}
	c.urgent.Reset()
	c.urgent.Pull = true
	met := 0
	first := c.pick(func(p *peer) bool { return p.noded != 0 })
	second := c.pick(func(p *peer) bool { return p.noded != 0 && p != first })
	for _, p := range [...]*peer{first, second} {
		if p != nil {
			c.send(p, &c.urgent)
			met++
		}
	}
	wait := time.Duration(learnFor)
	switch {
	case met == 0:
		wait = aloneAfter
	case c.own.record.Flags != 0:
		wait = learnAgain
	}
	if len(c.peers) == 0 || c.now-l.since >= wait*c.cfg.Interval {
		l.done = true
		c.changed()
	}
}
