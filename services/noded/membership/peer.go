package membership

import (
	"time"

	"weir/dataplane/wire"
)

// State is the health of a node (S-54).
type State uint8

// States of a node.
const (
	StateUnseen    State = iota // nobody has seen it in this life of ours, or in its present one
	StateHealthy                // its counter rises
	StateSuspect                // its counter stood still for the failure time
	StateUnhealthy              // … and for the unhealthy time, or it was found dead
)

func (s State) String() string { return [...]string{"unseen", "healthy", "suspect", "unhealthy"}[s] }

const (
	// margin is how many more heartbeats than a death has may still be old news:
	// checkers count on copies of the counter that are up to some rounds apart.
	margin = 64
	// remembered is how many past boot ids of a node are kept.
	remembered = 4
	// finalTime is how long the end of a boot id is told.
	finalTime = 30 * time.Second
)

// peer is what is known of another node.
type peer struct {
	number  uint16
	tracker bool

	boot   uint64          // of its dataplane; 0: never met
	record wire.NodeRecord // what it says of itself; Version 0: nothing yet
	beats  uint64
	rose   time.Duration // when beats last rose
	state  State

	dead      bool // of a Death, not of expiry
	deadBeats uint64
	deadBy    uint16
	died      time.Duration
	revived   time.Duration      // when that was refuted
	past      [remembered]uint64 // boot ids that it had before
	pastNext  int
	ended     time.Duration // when the last of them ended
	endedBoot uint64

	// proof that its control plane is who it says
	noded   uint64
	proved  time.Duration // when the check that proved it was sent
	window  wire.Window
	invited time.Duration // last check on account of gossip that we could not take

	checks   [phases]check
	next     int
	due      time.Duration // when the check was sent that will be judged; 0: none
	answered time.Duration // when the last check that succeeded was sent
	half     time.Duration // when the last ping that was answered was sent
	misses   int
	missing  time.Duration // when the first check of misses was sent
	agreed   bool          // somebody else misses it, too
	askers   []asker
}

// asker waits for our opinion.
type asker struct {
	number uint16
	first  time.Duration // when it asked
	last   time.Duration
	since  time.Duration // a check that succeeded counts if it was sent after this
}

// over reports that a boot id of p is of the past.
func (p *peer) over(boot uint64) bool {
	for _, b := range p.past {
		if b == boot && boot != 0 {
			return true
		}
	}
	return false
}

// end puts a boot id into the past.
func (c *Core) end(p *peer, boot uint64) {
	if boot == 0 || p.over(boot) {
		return
	}
	p.past[p.pastNext] = boot
	p.pastNext = (p.pastNext + 1) % remembered
	p.ended, p.endedBoot = c.now, boot
}

// meet begins a new life of p: its dataplane has another boot id, hence no state.
func (c *Core) meet(p *peer, boot uint64) {
	if p.boot != 0 {
		c.end(p, p.boot)
		c.out.Event(Event{Kind: Restarted, Number: p.number, Boot: boot})
	}
	p.boot, p.record, p.beats, p.dead, p.deadBeats = boot, wire.NodeRecord{Number: p.number, Boot: boot}, 0, false, 0
	p.state, p.due = StateUnseen, 0
	c.acquit(p)
	c.changed()
}

// acquit ends all suspicion against p.
func (c *Core) acquit(p *peer) { p.misses, p.agreed = 0, false }

// rise notes that p's counter rose: any rise heals (S-54).
func (c *Core) rise(p *peer) {
	p.rose = c.now
	if p.state != StateHealthy {
		if p.dead {
			p.revived = c.now
			c.out.Event(Event{Kind: Refuted, Number: p.number, Boot: p.boot})
		} else {
			c.out.Event(Event{Kind: Healthy, Number: p.number, Boot: p.boot})
		}
		p.state, p.dead = StateHealthy, false
		c.acquit(p)
		c.changed()
	}
}

// hear merges a counter from gossip (S-53).
func (c *Core) hear(p *peer, beats uint64) {
	if beats <= p.beats {
		return
	}
	p.beats = beats
	if !p.dead || beats > p.deadBeats+margin {
		c.rise(p)
	}
}

// expire is the slow path: counters that stand still (S-54). A node that is cut
// off gives nobody up: it is not the others that have vanished.
func (c *Core) expire() {
	fail := c.cfg.failTime(c.healthy() + 1)
	for _, p := range c.peers {
		switch age := c.now - p.rose; {
		case p.state == StateHealthy && age > fail:
			p.state = StateSuspect
			c.out.Event(Event{Kind: Suspected, Number: p.number, Boot: p.boot})
		case p.state == StateSuspect && age > 2*fail && !c.isolation.on:
			p.state = StateUnhealthy
			c.out.Event(Event{Kind: Expired, Number: p.number, Boot: p.boot})
		default:
			continue
		}
		c.acquit(p)
		c.changed()
	}
}
