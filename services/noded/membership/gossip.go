package membership

import (
	"errors"
	"time"

	"weir/dataplane/wire"
)

// Why gossip is not taken. The caller counts them.
var (
	ErrStranger = errors.New("gossip from who is not in the list of nodes")
	ErrUnproven = errors.New("gossip from a control plane that has not answered our challenge")
	ErrReplayed = errors.New("gossip with a sequence number that was seen before")
)

// Gossip takes a datagram, whose tag the caller has verified with a control key.
func (c *Core) Gossip(now time.Duration, h *wire.Header, d []byte) error {
	c.at(now)
	from := c.byNum[h.Sender]
	if from == nil || h.Role != wire.RoleNode {
		return ErrStranger
	}
	if from.noded != h.Boot || from.noded == 0 {
		if c.now-from.invited >= c.cfg.Interval/2 {
			from.invited = c.now
			c.check(from)
		}
		return ErrUnproven
	}
	if !from.window.Fresh(h.Seq) {
		return ErrReplayed
	}
	g := &c.in
	if err := wire.GetGossip(d, g); err != nil {
		return err
	}
	for _, d := range g.Deaths {
		c.death(from, d)
	}
	for i := range g.Nodes {
		c.merge(&g.Nodes[i])
	}
	for _, q := range g.Asks {
		c.asked(from, q)
	}
	for _, o := range g.Opinions {
		c.opinion(o)
	}
	for i := range g.Servers {
		c.mergeServer(&g.Servers[i])
	}
	if g.Answer {
		c.learn.part(from.number, g, c.now)
		c.changed()
	}
	if g.Pull {
		var all wire.Gossip
		c.everything(&all)
		all.Answer = c.learn.done // who has just started has no answer yet, but knows something
		c.send(from, &all)
	}
	return nil
}

// merge takes a node's record and counter.
func (c *Core) merge(r *wire.NodeRecord) {
	if r.Number == c.cfg.Self {
		c.mirror(r)
		return
	}
	p := c.byNum[r.Number]
	if p == nil || r.Boot == 0 || p.over(r.Boot) {
		return
	}
	if r.Boot != p.boot {
		// Another life. It is the present one if its record is newer, or if the
		// one that we know is dead.
		newer := r.Version > p.record.Version && p.record.Version > 0
		if p.boot != 0 && !newer && p.state != StateUnhealthy {
			return
		}
		c.meet(p, r.Boot)
		c.check(p)
	}
	if r.Version > p.record.Version {
		if r.Flags != p.record.Flags || r.Announces != p.record.Announces {
			c.changed()
		}
		p.record = *r
	}
	c.hear(p, r.Beats)
}

// gossip tells one random healthy node everything (S-53).
func (c *Core) gossip() {
	to := c.pick(func(p *peer) bool { return p.state == StateHealthy })
	if to == nil {
		return
	}
	var all wire.Gossip
	c.everything(&all)
	c.send(to, &all)
}

// everything collects what is worth telling. Counters of suspects are not.
func (c *Core) everything(g *wire.Gossip) {
	if c.own.record.Boot != 0 {
		g.Nodes = append(g.Nodes, c.own.record)
	}
	for _, p := range c.peers {
		if p.ended > 0 && c.now-p.ended < finalTime && p.endedBoot != p.boot {
			g.Deaths = append(g.Deaths, wire.Death{Number: p.number, By: c.cfg.Self, Boot: p.endedBoot, Beats: wire.DeathFinal})
		}
		switch {
		case p.state == StateHealthy:
			r := p.record
			r.Beats = p.beats
			g.Nodes = append(g.Nodes, r)
		case p.dead && p.over(p.boot):
			g.Deaths = append(g.Deaths, wire.Death{Number: p.number, By: p.deadBy, Boot: p.boot, Beats: wire.DeathFinal})
		case p.dead:
			g.Deaths = append(g.Deaths, wire.Death{Number: p.number, By: p.deadBy, Boot: p.boot, Beats: p.deadBeats})
		}
	}
	for _, s := range c.servers {
		g.Servers = append(g.Servers, s.record())
	}
}

// spread tells everybody, that node included, about one node at once.
func (c *Core) spread(about *peer) {
	c.urgent.Reset()
	r := about.record
	r.Beats = about.beats
	c.urgent.Nodes = append(c.urgent.Nodes, r)
	for _, p := range c.peers {
		if p.state == StateHealthy {
			c.send(p, &c.urgent)
		}
	}
}

// send sends g in as many datagrams as it takes.
func (c *Core) send(to *peer, g *wire.Gossip) {
	c.round++
	g.Round = c.round
	g.Split(func(part *wire.Gossip) {
		n := wire.PutGossip(c.buf[:], part)
		c.out.Gossip(to.number, c.buf[:n])
	})
}
