package simulation

import (
	"time"

	"weir/dataplane/lbnode"
)

// clock is a node's own: it began at another time than the run's, and goes
// faster or slower.
type clock struct {
	ahead int64 // ns
	ppm   int64
}

// read is what the clock shows at a time of the run, ns.
func (c clock) read(now int64) int64 { return now + c.ahead + (now-start)/1_000_000*c.ppm }

// Bounds of what clocks may differ. Those of the wall may not differ by more
// than what a cookie allows for.
const (
	mostAhead = int64(1000 * time.Hour)
	mostDrift = 200 // ppm
	mostWall  = int64(900 * time.Millisecond)
)

// skew gives the node clocks of its own.
func (n *Node) skew() {
	r := n.sim.Rand("clock " + n.ID)
	n.clock = clock{ahead: r.Int64N(mostAhead), ppm: r.Int64N(2*mostDrift) - mostDrift}
	n.wall = r.Int64N(2*mostWall) - mostWall
}

// now is the node's monotonic clock, ns.
func (n *Node) now() int64 { return n.clock.read(n.sim.Now()) }

// after makes do happen in this life of the node, or never.
func (n *Node) after(d time.Duration, do func()) *Event {
	life := n.life
	return n.sim.After(d, func() {
		if n.life == life && !n.down {
			do()
		}
	})
}

// kill stops the node: it neither receives nor sends, and has forgotten everything.
func (n *Node) kill() {
	n.down, n.stopped, n.waiting = true, false, nil
	n.life++
}

// restart is the node's next life. It does nothing before SetConfig.
func (n *Node) restart() error {
	n.down = false
	return n.begin(len(n.Workers))
}

// stop lets the process not run, as SIGSTOP does; frames wait in the NICs.
func (n *Node) stop() { n.stopped = true }

// resume lets the process run again.
func (n *Node) resume() {
	if n.down || !n.stopped {
		return
	}
	n.stopped = false
	if len(n.received) > 0 {
		n.poll()
	} else {
		n.tick()
	}
	waiting := n.waiting
	n.waiting = nil
	for _, do := range waiting {
		do()
	}
}

// whenRunning does something of the node's processes now, or when they run again.
func (n *Node) whenRunning(do func()) {
	if n.stopped {
		n.waiting = append(n.waiting, do)
		return
	}
	do()
}

// flush is the dataplane's: it forgets everything and is another one (S-59).
func (n *Node) flush() {
	n.flushes++
	n.Boot = n.bootID()
	for _, w := range n.Workers {
		w.Flush()
	}
	n.SetConfig(&lbnode.Config{Boot: n.Boot})
}

// bootID is another one in every life of the dataplane, and the node's number in the first.
func (n *Node) bootID() uint64 { return uint64(n.flushes)<<32 | uint64(n.life)<<16 | uint64(n.Number) }

// synced is the epoch for which all workers have handed on what the ring asks
// for; 0 if they have not.
func (n *Node) synced() uint32 {
	for _, w := range n.Workers {
		if w.Synced() != n.epoch {
			return 0
		}
	}
	return n.epoch
}
