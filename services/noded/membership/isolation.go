package membership

import (
	"time"

	"weir/dataplane/wire"
)

// lostAtOnce is the time within which several others must vanish for it to look
// as if it were we who vanished.
const lostAtOnce = 3 * time.Second

// isolation is the state of a node that sees nobody although it has seen others
// (S-62). It is hard to tell whether they are gone or we are: with the last of
// them answering in one direction, or with several vanishing at once, it is
// probably us, unless our own way through the router works, a server answers on
// the fabric, and nobody answers in either direction. Who is held for dead by others is cut off, too.
type isolation struct {
	on    bool
	seen  bool          // others, since start
	many  time.Duration // when two or more were last seen
	lost  time.Duration // when nobody was left; 0: somebody is there
	sent  time.Duration // of the ping to ourselves
	nonce uint64
	own   time.Duration // when it came back
}

// pong is the answer to a ping to ourselves.
func (i *isolation) pong(nonce uint64, now time.Duration) bool {
	if nonce != i.nonce || i.sent == 0 {
		return false
	}
	i.sent, i.own = 0, now
	return true
}

// fabric tells whether our own way on the fabric has worked since a time: a
// server answered, or sent something. Without servers there is nobody to ask.
func (c *Core) fabric(since time.Duration) bool {
	for _, s := range c.servers {
		if s.told > since {
			return true
		}
	}
	return len(c.servers) == 0
}

// isolated judges our own connection.
func (c *Core) isolated() {
	i := &c.isolation
	n := c.healthy()
	if n > 1 {
		i.many = c.now
	}
	on := false
	switch {
	case n > 0:
		i.seen, i.lost = true, 0
	case i.seen:
		if i.lost == 0 {
			i.lost, i.own = c.now, 0
		}
		if c.phase == 1 {
			i.sent, i.nonce = c.now, c.rng.Uint64()
			c.out.Ping(c.cfg.Self, wire.PingNorth, i.nonce, 0)
		}
		half := false
		for _, p := range c.peers {
			half = half || p.half > i.lost && c.now-p.half < 10*c.cfg.Interval
		}
		alone := i.own > 0 && c.now-i.own < 5*c.cfg.Interval && c.now-i.lost > time.Second && c.fabric(i.lost)
		sudden := i.many > 0 && i.lost-i.many < lostAtOnce
		on = half || sudden && !alone
	}
	on = on || c.own.givenUp
	if on != i.on {
		i.on = on
		c.pardon()
		kind := Connected
		if on {
			kind = Isolated
		}
		c.out.Event(Event{Kind: kind, Number: c.cfg.Self})
		c.changed()
	}
}
