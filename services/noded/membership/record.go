package membership

import (
	"fmt"
	"time"

	"weir/dataplane/wire"
)

// inService are the flags that a node has while it takes part.
const inService = wire.NodeTrack | wire.NodeSpeak | wire.NodeAnnounce

// joinAnyway is how many intervals a node waits at most to have the present ring
// in force before it joins.
const joinAnyway = 10

// returnAfter is how many intervals a node that others went on without waits
// for their news: the ring that it comes back to may be the one that it left, and
// their old records say that they are synchronised for it.
const returnAfter = 10

// own is this node's own record, and what moves it from joining to leaving.
type own struct {
	record   wire.NodeRecord
	force    uint32        // ring epoch that the dataplane has in force
	sessions bool          // BGP sessions for the neighbours are established
	drain    bool          // the operator wants this node out
	since    time.Duration // since when this dataplane lives, or tracks, or since it was last given up
	returns  bool          // others have gone on without us: what they say must be newer than that
	leaving  time.Duration // since when it is not announced on its way out
	drained  bool

	heard     time.Duration // when the dataplane last answered
	died      uint64        // heartbeats of our own death that we last took note of
	givenUp   bool          // … and it is not refuted yet
	condemned time.Duration // when we heard that this boot id is of the past
}

// newLife begins anew with another dataplane, or none yet.
func (o *own) newLife(boot uint64, now time.Duration) {
	o.since, o.returns = now, false
	o.record.Boot, o.record.Flags, o.record.Synced = boot, 0, 0
	o.force, o.died, o.condemned, o.givenUp = 0, 0, 0, false
	o.drained = false
}

// Resume tells, before the first Tick, that the dataplane lives on from before a
// restart of this control plane, and the flags that it had then. Others notice
// nothing.
func (c *Core) Resume(boot uint64, flags uint8) {
	c.own.record.Boot, c.own.record.Flags = boot, flags
	c.changed()
}

// Dataplane reports the state of our dataplane: its boot id, the ring epoch of
// the configuration that it has in force, and the one for which it has finished
// synchronising. Report every answer, about one per Interval, and nothing when
// it does not answer or its links are down: this node then judges nobody, because
// what it misses is probably its own fault.
func (c *Core) Dataplane(now time.Duration, boot uint64, force, synced uint32) {
	c.at(now)
	o := &c.own
	o.heard = c.now
	if synced != force {
		synced = 0 // of a ring of the past
	}
	tell := boot != o.record.Boot || synced != o.record.Synced
	if boot != o.record.Boot {
		if o.record.Boot != 0 {
			c.out.Event(Event{Kind: Restarted, Number: c.cfg.Self, Boot: boot})
		}
		o.newLife(boot, c.now)
		c.changed()
	}
	o.force, o.record.Synced = force, synced
	if tell {
		c.publish()
	}
}

// Sessions reports whether the BGP sessions for all our neighbours are
// established; true also if there are none to hold.
func (c *Core) Sessions(now time.Duration, established bool) {
	c.at(now)
	c.own.sessions = established
}

// Announces reports which nodes this one announces now, in sessions that are
// established with all routers; 0 for none.
func (c *Core) Announces(now time.Duration, nodes [2]uint16) {
	c.at(now)
	if nodes != c.own.record.Announces {
		c.own.record.Announces = nodes
		c.publish()
		c.changed()
	}
}

// Drain makes this node leave gracefully, or come back (S-64). View.Drained says
// when it has left.
func (c *Core) Drain(now time.Duration, drain bool) {
	c.at(now)
	c.own.drain = drain
}

// version makes the record newer than any before. CLOCK_BOOTTIME makes it rise
// across restarts of the control plane.
func (o *own) version(now time.Duration, beyond uint64) {
	o.record.Version = max(o.record.Version+1, beyond+1, uint64(now))
}

// publish gives the own record a new version and tells everybody at once.
func (c *Core) publish() {
	c.own.record.Number, c.own.record.Noded = c.cfg.Self, c.cfg.Noded
	c.own.version(c.now, 0)
	c.tellOwn()
}

func (c *Core) tellOwn() {
	if c.own.record.Boot == 0 {
		return
	}
	c.urgent.Reset()
	c.urgent.Nodes = append(c.urgent.Nodes, c.own.record)
	for _, p := range c.peers {
		if p.state == StateHealthy || p.noded != 0 {
			c.send(p, &c.urgent)
		}
	}
}

// mirror takes what others hold of us. Heartbeats beyond our death refute it. A
// record that looks newer than what we say is of an earlier start of this machine,
// and is answered.
func (c *Core) mirror(r *wire.NodeRecord) {
	o := &c.own
	if r.Boot == o.record.Boot && r.Beats > o.died+margin {
		o.givenUp = false
	}
	if o.record.Boot == 0 || r.Version < o.record.Version || r.Version == o.record.Version && r.Boot == o.record.Boot {
		return
	}
	o.version(c.now, r.Version)
	c.tellOwn()
}

// disputed is how long two nodes that held each other for dead remember it.
const disputed = 10 * time.Second

// ownDeath is the news that others hold us for dead. They have taken our place
// meanwhile, so we stay in the ring and synchronise, but are announced only when
// that is complete. Two nodes that found each other dead must not both step back,
// or nobody might be left: the lower number stays.
func (c *Core) ownDeath(d wire.Death) {
	o := &c.own
	by := c.byNum[d.By]
	dispute := by != nil && (by.dead || by.revived > 0 && c.now-by.revived < disputed) && c.cfg.Self < d.By
	switch {
	case d.Boot != o.record.Boot || d.Boot == 0:
	case d.Beats == wire.DeathFinal:
		if o.condemned == 0 {
			o.condemned = c.now
		}
	case !dispute && (o.died == 0 || d.Beats > o.died+margin):
		o.died = d.Beats
		o.since, o.returns, o.givenUp = c.now, true, true
		c.out.Event(Event{Kind: SelfDied, Number: c.cfg.Self, By: d.By, Boot: d.Boot, Detail: fmt.Sprintf("%d heartbeats", d.Beats)})
		c.flags(o.record.Flags &^ (wire.NodeSpeak | wire.NodeAnnounce))
	}
}

// flags sets the own flags.
func (c *Core) flags(f uint8) {
	if f == c.own.record.Flags {
		return
	}
	c.own.record.Flags = f
	c.out.Event(Event{Kind: Flags, Number: c.cfg.Self, Boot: c.own.record.Boot, Detail: flagNames(f)})
	c.publish()
	c.changed()
}

func flagNames(f uint8) string {
	s := ""
	for i, name := range [...]string{"track", "speak", "announce", "leaving"} {
		if f&(1<<i) != 0 {
			s += " " + name
		}
	}
	if s == "" {
		return "none"
	}
	return s[1:]
}

// advance moves this node a step on its way in or out (S-64).
func (c *Core) advance() {
	o := &c.own
	if o.condemned > 0 && c.now-o.condemned > time.Second {
		// Our dataplane would have told by now if it had been started anew.
		o.condemned = 0
		c.rejoin()
		return
	}
	if !c.learn.done || o.record.Boot == 0 {
		return
	}
	c.refresh()
	epoch, f := c.view.Epoch, o.record.Flags
	switch {
	case o.drain:
		c.leave(epoch, f)
	case c.isolation.on:
		c.flags(f &^ (wire.NodeSpeak | wire.NodeAnnounce))
		o.since, o.returns = c.now, true
	case f&wire.NodeLeaving != 0:
		o.drained = false
		o.since, o.returns = c.now, true
		c.flags(f &^ wire.NodeLeaving)
	case f&wire.NodeTrack == 0:
		// While many join at once the ring changes faster than it comes into force.
		busy := o.force != 0 && c.now-o.since > joinAnyway*c.cfg.Interval
		if o.force == epoch || busy {
			o.since = c.now
			c.flags(f | wire.NodeTrack)
		}
	case f&wire.NodeSpeak == 0:
		if c.complete(epoch) {
			c.flags(f | wire.NodeSpeak)
			o.sessions = false // as reported with us as a speaker
		}
	case f&wire.NodeAnnounce == 0:
		if o.sessions {
			c.flags(f | wire.NodeAnnounce)
		}
	}
}

// leave: unannounced first; when routers have taken note, out of the ring; when
// all have synchronised without us, drained.
func (c *Core) leave(epoch uint32, f uint8) {
	o := &c.own
	switch {
	case f&wire.NodeLeaving == 0:
		o.leaving = c.now
		if f&wire.NodeAnnounce == 0 {
			o.leaving -= c.cfg.Withdrawal // no router knows us
		}
		c.flags(f&^wire.NodeAnnounce | wire.NodeLeaving)
	case f&inService != 0:
		if c.now-o.leaving >= c.cfg.Withdrawal {
			c.flags(wire.NodeLeaving)
		}
	case !o.drained:
		if o.drained = o.force == epoch && o.record.Synced == epoch && c.synced(epoch); o.drained {
			c.changed()
		}
	}
}

// complete reports that this node has the state of all flows that are its own in
// the present ring. When nobody is announced, nobody has anything to give: state
// comes from publications then.
func (c *Core) complete(epoch uint32) bool {
	o := &c.own
	if o.force != epoch || o.returns && c.now-o.since < returnAfter*c.cfg.Interval {
		return false
	}
	for _, p := range c.peers {
		if p.state == StateHealthy && p.record.Flags&wire.NodeAnnounce != 0 {
			return c.synced(epoch) && (o.record.Synced == epoch || !c.tracker())
		}
	}
	return c.now-o.since >= 2*c.cfg.Publication
}

// synced reports that all other members of the ring have synchronised for epoch.
func (c *Core) synced(epoch uint32) bool {
	for _, p := range c.peers {
		if p.tracks() && p.record.Synced != epoch {
			return false
		}
	}
	return true
}

func (p *peer) tracks() bool {
	return p.tracker && p.state == StateHealthy && p.record.Flags&wire.NodeTrack != 0
}

// tracker reports whether the file lets this node track.
func (c *Core) tracker() bool { return c.self >= 0 && c.cfg.Nodes[c.self].Tracker }
