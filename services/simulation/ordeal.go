package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"weir/dataplane/packet"
)

// Ordeal is a whole run that a seed describes: how large the cluster is, which
// connections there are, and what goes wrong when. Between two rounds of
// mishaps the cluster has time to become whole again, so that no connection
// may be lost (S-73), but those of a server that dies.
type Ordeal struct {
	Options Options
	Mishaps []Mishap
	Flows   int
	End     time.Duration // of the mishaps
	flips   float64       // share of the control datagrams in which a bit flips
	halves  bool          // some servers close their direction at once, and their clients go on
	quiet   time.Duration // if not 0: nothing new begins from here on
	absent  map[int]bool  // nodes that are not there at first
	missing map[int]bool  // servers that are not there at first
}

// Times of an ordeal.
const (
	beginning = 6 * time.Second  // until all nodes are announced
	recovery  = 14 * time.Second // after a round of mishaps
	// quietBefore is how long before a massacre nothing new begins: with both
	// trackers of a connection dead, only what is established comes back.
	quietBefore = 5 * time.Second
	flowLimit   = 10 * time.Minute // until all connections have ended
)

// NewOrdeal draws an ordeal from a seed.
func NewOrdeal(seed uint64) *Ordeal {
	r := New(seed).Rand("ordeal")
	o := &Ordeal{Options: Options{Nodes: 3 + r.IntN(4), Servers: 3 + r.IntN(3), Workers: 1 + r.IntN(2), Membership: true, Skewed: true},
		Flows: 60 + r.IntN(120), absent: map[int]bool{}, missing: map[int]bool{}}
	if r.IntN(2) == 0 {
		loss := 0.01 * r.Float64()
		o.Options.Weather = func(r *rand.Rand) []Stage {
			return []Stage{DropStage(r, loss), DuplicateStage(r, loss, 5*time.Millisecond), ReorderStage(r, loss, 5*time.Millisecond)}
		}
	}
	o.draw(r)
	if r := New(seed).Rand("flips"); r.IntN(3) == 0 {
		o.flips = 0.02 * r.Float64()
	}
	o.halves = New(seed).Rand("shuts").IntN(2) == 0
	if r := New(seed).Rand("the end"); r.IntN(4) == 0 {
		o.massacre(r)
	}
	return o
}

// massacre ends the ordeal with the death of several nodes, or all, at once.
// Publishing brings back the connections that were established (S-44).
func (o *Ordeal) massacre(r *rand.Rand) {
	o.Mishaps = append(o.Mishaps, Mishap{Kind: Massacre, At: o.End, Node: r.IntN(o.Options.Nodes - 1), For: time.Duration(r.Int64N(int64(4 * time.Second)))})
	o.quiet = o.End - quietBefore
	o.End += 2 * recovery
}

// draw makes the rounds of mishaps.
func (o *Ordeal) draw(r *rand.Rand) {
	alive := make([]bool, o.Options.Nodes)
	for i := range alive {
		alive[i] = true
	}
	count := o.Options.Nodes
	dead := 0 // servers
	at := beginning
	if o.Options.Nodes > 3 && r.IntN(2) == 0 {
		last := o.Options.Nodes - 1
		o.absent[last], alive[last] = true, false
		count--
	}
	for range 2 + r.IntN(3) {
		at += time.Duration(r.Int64N(int64(2 * time.Second)))
		end := at
		add := func(m Mishap, longest time.Duration) {
			m.At = at + time.Duration(r.Int64N(int64(500*time.Millisecond)))
			if longest > 0 {
				m.For = 200*time.Millisecond + time.Duration(r.Int64N(int64(longest)))
			}
			end = max(end, m.At+m.For)
			o.Mishaps = append(o.Mishaps, m)
		}
		node := r.IntN(o.Options.Nodes)
		for !alive[node] {
			node = r.IntN(o.Options.Nodes)
		}
		m := Mishap{Kind: MishapKind(r.IntN(int(Join))), Node: node, Side: packet.Port(r.IntN(2))}
		longest := 8 * time.Second
		switch m.Kind {
		case Crash:
			if count > 3 && r.IntN(3) == 0 {
				longest, alive[node] = 0, false
				count--
			}
		case Lossy:
			m.Share = 0.02 + 0.2*r.Float64()
		case Doubling:
			m.Share = 0.5 * r.Float64()
		case Slow:
			m.Share = 0.03 * r.Float64()
		}
		add(m, longest)
		if last := o.Options.Nodes - 1; o.absent[last] && !alive[last] && r.IntN(2) == 0 {
			add(Mishap{Kind: Join, Node: last}, 0)
			alive[last] = true
			count++
		}
		o.drawServer(r, &dead, add)
		at = end + recovery
	}
	o.End = at
}

// drawServer adds what happens to a server in the same round, if anything.
func (o *Ordeal) drawServer(r *rand.Rand, dead *int, add func(Mishap, time.Duration)) {
	server := r.IntN(o.Options.Servers)
	last := o.Options.Servers - 1
	switch r.IntN(6) {
	case 0:
		if *dead == 0 && server != last {
			*dead++
			add(Mishap{Kind: ServerDeath, Server: server}, 0)
		}
	case 1:
		if server != last {
			add(Mishap{Kind: ServerDrain, Server: server}, 6*time.Second)
		}
	case 2:
		if !o.missing[last] {
			o.missing[last] = true
			add(Mishap{Kind: ServerJoin, Server: last}, 0)
		}
	}
}

// Run is the whole ordeal. The error names the seed.
func (o *Ordeal) Run(c *Cluster) error {
	for i := range o.missing {
		c.Servers[i].down = true
	}
	r := c.Sim.Rand("workload")
	for _, m := range o.Mishaps {
		c.Strike(m)
	}
	for _, n := range c.Nodes {
		for _, l := range n.links {
			l.corrupted = o.flips
		}
	}
	idle := []time.Duration{0, 0, 2 * time.Second, 8 * time.Second, 25 * time.Second}
	for i := range o.Flows {
		t := tuple(i)
		plan := Plan{Client: t.Client, VIP: t.VIP,
			Up: 2 + r.IntN(20_000), Down: 1 + r.IntN(60_000), ServerFirst: i%3 == 0, ServerEnds: i%2 == 0, Idle: idle[r.IntN(len(idle))]}
		if o.halves && (i%7 == 3 || i%16 == 0) {
			plan.ServerEnds, plan.ServerShuts = false, true
		}
		first := plan
		if i%8 == 0 { // the port is used again
			first.ServerEnds, first.ServerShuts, first.Idle = true, false, 0
			first.Then = func(f *Flow) {
				if f.Done && c.Sim.Elapsed() < o.End && o.quiet == 0 {
					c.Load.StartAfter(c.Client, f, plan)
				}
			}
		}
		last := o.End
		if o.quiet > 0 {
			last = o.quiet
		}
		c.Load.Start(c.Client, beginning+time.Duration(r.Int64N(int64(last-beginning))), first)
	}
	c.Sim.After(o.End-c.Sim.Elapsed(), c.abandon)
	err := c.Run(flowLimit)
	if err == nil {
		if err = c.Sim.Run(time.Minute, func() bool { return c.Sim.Elapsed() > o.End && c.Announced() }); err != nil {
			err = fmt.Errorf("%w: %d of the nodes are announced", err, len(c.Router.nextHops))
		}
	}
	return err
}

// abandon ends the connections whose client waits for a server that is dead:
// it has nothing more to say, so nobody can tell it.
func (c *Cluster) abandon() {
	for _, f := range c.Load.Flows {
		if !f.Done && f.Err == nil && f.client != nil && c.onDeadServer(f) {
			f.Abort()
		}
	}
}

// Build makes the cluster of an ordeal.
func (o *Ordeal) Build(seed uint64) (*Cluster, error) {
	options := o.Options
	options.Absent = o.absent
	return NewCluster(seed, options)
}

func (o *Ordeal) String() string {
	return fmt.Sprintf("%d nodes (%d of them absent at first), %d servers, %d connections, %d mishaps until %v",
		o.Options.Nodes, len(o.absent), o.Options.Servers, o.Flows, len(o.Mishaps), o.End)
}
