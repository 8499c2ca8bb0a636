package membership

import (
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// lifeEvery is how often signs of life are counted at most; they come with
// every packet.
const lifeEvery = 200 * time.Millisecond

// server is what is known of a server (S-55, S-58).
type server struct {
	number uint16
	boot   uint64 // of its module
	beats  uint64
	life   uint64
	rose   time.Duration // when beats last rose, anywhere; 0: never
	heard  time.Duration // when there was a sign of life, anywhere
	told   time.Duration // when we counted one

	healthy bool
	dead    bool

	mine bool          // we are one of its two checkers
	next time.Duration // check
	list time.Duration // when it was pushed the list of nodes
}

func (s *server) record() wire.ServerRecord {
	return wire.ServerRecord{Number: s.number, Boot: s.boot, Beats: s.beats, Life: s.life, Healthy: s.healthy, Alive: !s.dead}
}

// ServerResult reports the end of a check: ok says that its module answered and
// every optional check passed; alive that the machine answered at all, if only by
// refusing a connection; boot is its module's boot id, 0 if it is not known.
func (c *Core) ServerResult(now time.Duration, number uint16, ok, alive bool, boot uint64) {
	c.at(now)
	s := c.serverBy[number]
	if s == nil {
		return
	}
	c.serverBoot(s, boot)
	if ok || alive {
		c.sign(s)
	}
	if ok {
		s.beats++
		c.beat(s)
	}
}

// ServerLife reports any other sign of life: a packet or a publication that came
// from the server, or an acknowledgement of its module with its boot id (else 0).
func (c *Core) ServerLife(now time.Duration, number uint16, boot uint64) {
	c.at(now)
	if s := c.serverBy[number]; s != nil {
		c.serverBoot(s, boot)
		if c.now-s.told >= lifeEvery {
			c.sign(s)
		}
	}
}

func (c *Core) serverBoot(s *server, boot uint64) {
	if boot != 0 && boot != s.boot {
		s.boot = boot
		c.changed()
	}
}

// sign counts a sign of life.
func (c *Core) sign(s *server) {
	s.life++
	s.heard, s.told = c.now, c.now
}

// beat notes that the heartbeats of s rose: it gets offers at once.
func (c *Core) beat(s *server) {
	s.rose, s.heard = c.now, c.now
	if !s.healthy {
		s.healthy, s.dead = true, false
		c.out.Event(Event{Kind: ServerUp, Number: s.number})
		c.changed()
	}
}

// mergeServer takes a server's counters from gossip. Those of a server that its
// sender does not hold for healthy, or alive, only say from where to count on.
func (c *Core) mergeServer(r *wire.ServerRecord) {
	s := c.serverBy[r.Number]
	if s == nil {
		return
	}
	if r.Life > s.life {
		s.life = r.Life
		if r.Alive {
			s.heard = c.now
		}
	}
	if r.Beats > s.beats {
		s.beats = r.Beats
		c.serverBoot(s, r.Boot)
		if r.Healthy {
			c.beat(s)
		}
	}
}

// tickServers begins checks that are due, and finds who failed.
func (c *Core) tickServers() {
	fail := c.cfg.serverFailTime(c.healthy() + 1)
	for _, s := range c.servers {
		if s.mine && c.now >= s.next {
			s.next = max(s.next+c.cfg.ServerInterval, c.now+c.cfg.ServerInterval/2)
			c.out.CheckServer(s.number)
		}
		if c.isolation.on {
			continue // what does not answer us may well answer others
		}
		if s.healthy && c.now-s.rose > fail {
			s.healthy = false
			c.out.Event(Event{Kind: ServerDown, Number: s.number})
			c.changed()
		}
		dead := !s.healthy && c.now-s.heard > c.cfg.ServerSilence
		if dead != s.dead {
			s.dead = dead
			if dead {
				c.out.Event(Event{Kind: ServerDead, Number: s.number})
			}
			c.changed()
		}
	}
}

// pardon gives servers and suspects their time anew when this node finds that it
// is cut off, and when it is back: that nothing answered it meanwhile says nothing
// of them.
func (c *Core) pardon() {
	for _, p := range c.peers {
		if p.state == StateSuspect {
			p.rose = c.now
		}
	}
	for _, s := range c.servers {
		if s.dead {
			continue
		}
		s.heard = c.now
		if s.rose > 0 {
			s.healthy, s.rose = true, c.now
		}
	}
}

// share finds the servers that this node checks: each has two healthy checkers,
// the highest two by a hash of both, so that few move when nodes come and go.
func (c *Core) share() {
	for _, s := range c.servers {
		mine := weight(c.cfg.Self, s.number)
		above := 0
		for _, p := range c.peers {
			if p.state == StateHealthy && weight(p.number, s.number) > mine {
				above++
			}
		}
		s.mine = above < 2
	}
}

func weight(node, server uint16) uint64 {
	return flow.Mix(flow.Mix(uint64(node)+1, 0x9e3779b97f4a7c15), uint64(server)+1)
}

// push tells the servers that this node checks which nodes there are (S-55): at
// once when that changed, and every second.
func (c *Core) push() {
	if !c.learn.done || c.isolation.on {
		return
	}
	news := c.pushed != c.view.NodesVersion
	c.pushed = c.view.NodesVersion
	for _, s := range c.servers {
		if s.mine && (news || c.now-s.list >= time.Second) {
			s.list = c.now
			c.out.PushNodes(s.number)
		}
	}
}
