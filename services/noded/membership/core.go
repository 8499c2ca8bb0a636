package membership

import (
	"math/rand/v2"
	"slices"
	"time"

	"weir/dataplane/wire"
)

// Core is the membership of one node.
type Core struct {
	cfg Config
	rng *rand.Rand
	out Output
	now time.Duration

	running bool
	phase   int
	last    time.Duration // tick

	own      own
	self     int     // own place in the list of nodes
	peers    []*peer // all nodes but this one, in the order of the list, beginning behind it
	byNum    map[uint16]*peer
	servers  []*server
	serverBy map[uint16]*server

	learn     learning
	isolation isolation
	round     uint32
	view      View
	dirty     bool // the view must be made anew
	ringSince time.Duration
	pushed    uint64 // View.NodesVersion that servers were told

	in, urgent wire.Gossip
	buf        [wire.MaxGossip]byte
}

// New makes the membership of a node that knows nobody yet. It does nothing
// before the first Tick.
func New(cfg Config, rng *rand.Rand, out Output) *Core {
	cfg.setDefaults()
	c := &Core{cfg: cfg, rng: rng, out: out}
	c.Configure(0, cfg.Nodes, cfg.Servers)
	return c
}

// Step is how often Tick wants to be called.
func (c *Core) Step() time.Duration { return c.cfg.Interval / phases }

// Configure replaces the lists of nodes and servers. What is known of those that
// stay is kept.
func (c *Core) Configure(now time.Duration, nodes []Node, servers []uint16) {
	c.at(now)
	c.cfg.Nodes, c.cfg.Servers = slices.Clone(nodes), slices.Clone(servers)
	c.self = slices.IndexFunc(nodes, func(n Node) bool { return n.Number == c.cfg.Self })
	old := c.byNum
	c.peers, c.byNum = nil, map[uint16]*peer{}
	for i := range nodes {
		n := nodes[(max(c.self, 0)+i)%len(nodes)]
		if n.Number == c.cfg.Self {
			continue
		}
		p := old[n.Number]
		if p == nil {
			p = &peer{number: n.Number}
		}
		p.tracker = n.Tracker
		c.peers, c.byNum[n.Number] = append(c.peers, p), p
	}
	was := c.serverBy
	c.servers, c.serverBy = nil, map[uint16]*server{}
	for i, number := range servers {
		s := was[number]
		if s == nil {
			s = &server{number: number, heard: c.now}
			// Servers are checked one after the other, not all at once.
			s.next = c.now + c.cfg.ServerInterval*time.Duration(i)/time.Duration(len(servers))
		}
		c.servers, c.serverBy[number] = append(c.servers, s), s
	}
	c.changed()
}

// at takes over the caller's time.
func (c *Core) at(now time.Duration) { c.now = max(c.now, now) }

// changed says that the view may be another one.
func (c *Core) changed() { c.dirty = true }

// Tick does what is due. Call it every Step, after everything that has arrived.
func (c *Core) Tick(now time.Duration) {
	c.at(now)
	if !c.running {
		c.start()
	}
	if late := now - c.last - c.Step(); late > c.cfg.Gap {
		c.stood(late)
	} else if late > c.cfg.Interval/2 {
		c.discard(late)
	}
	c.last = now
	if c.phase == 0 {
		c.judge()
		c.expire()
		c.checks()
		c.pull()
		c.gossip()
	}
	c.phase = (c.phase + 1) % phases
	c.repeat()
	c.isolated()
	c.tickServers()
	c.advance()
	c.refresh()
	c.push()
}

func (c *Core) start() {
	c.running, c.last = true, c.now-c.Step()
	c.learn.since, c.ringSince = c.now, c.now
	for _, s := range c.servers {
		s.heard = c.now
	}
}

// discard forgets the checks of an interval in which this loop was late: their
// answers may have been lost in our own queues (S-59). Nobody's time ran meanwhile.
func (c *Core) discard(late time.Duration) {
	c.out.Event(Event{Kind: Late, Number: c.cfg.Self, Detail: late.String()})
	for _, p := range c.peers {
		p.due = 0
		c.acquit(p)
		p.rose += late
	}
	for _, s := range c.servers {
		s.rose += late
		s.heard += late
	}
}

// stood is the end of a life that paused for so long that others gave this node
// up: it forgets everything and joins anew (S-59).
func (c *Core) stood(late time.Duration) {
	c.out.Event(Event{Kind: Stood, Number: c.cfg.Self, Detail: late.String()})
	c.rejoin()
}

func (c *Core) rejoin() {
	c.out.Flush()
	for i, p := range c.peers {
		fresh := &peer{number: p.number, tracker: p.tracker}
		c.peers[i], c.byNum[p.number] = fresh, fresh
	}
	for _, s := range c.servers {
		*s = server{number: s.number, next: c.now, heard: c.now}
	}
	c.learn = learning{since: c.now}
	c.isolation = isolation{}
	c.own.newLife(0, c.now)
	c.publish()
	c.changed()
}

// healthy counts the other nodes that are healthy.
func (c *Core) healthy() int {
	n := 0
	for _, p := range c.peers {
		if p.state == StateHealthy {
			n++
		}
	}
	return n
}

// pick is a random peer for which ok holds, or nil.
func (c *Core) pick(ok func(p *peer) bool) *peer {
	n := 0
	for _, p := range c.peers {
		if ok(p) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	n = c.rng.IntN(n)
	for _, p := range c.peers {
		if ok(p) {
			if n == 0 {
				return p
			}
			n--
		}
	}
	return nil
}
