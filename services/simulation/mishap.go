package simulation

import (
	"fmt"
	"time"

	"weir/dataplane/packet"
)

// MishapKind is what goes wrong.
type MishapKind uint8

// Kinds of mishaps. Those of nodes come first.
const (
	Crash       MishapKind = iota // a node dies; after For it begins another life, with empty tables
	Stop                          // its processes do not run for a time
	CutNorth                      // nothing passes its interface
	CutSouth                      //
	CutBoth                       //
	Deaf                          // one-way loss: nothing comes in, on one side
	Mute                          // one-way loss: nothing goes out, on one side
	Lossy                         // a share of what passes one side is lost
	Slow                          // its polls come late
	Doubling                      // a share of what passes one side comes twice
	Drain                         // it leaves gracefully, and comes back
	Join                          // a node that was not there begins
	ServerDeath                   // a server falls silent for ever
	ServerDrain                   // it takes no new connections for a time
	ServerJoin                    // a server that was not there begins
	Massacre                      // Node and all behind it die at once, and come back
	kinds
)

var kindNames = [kinds]string{"crash", "stop", "cut north", "cut south", "cut both", "deaf", "mute", "lossy", "slow", "doubling", "drain", "join",
	"server death", "server drain", "server join", "massacre"}

// Mishap is one event of a plan.
type Mishap struct {
	Kind   MishapKind
	At     time.Duration // since the start of the run
	For    time.Duration // 0: to the end
	Node   int           // index in Cluster.Nodes
	Server int           // index in Cluster.Servers
	Side   packet.Port
	Share  float64
}

func (m Mishap) String() string {
	who := fmt.Sprintf("node %d", m.Node+1)
	if m.Kind >= ServerDeath && m.Kind <= ServerJoin {
		who = fmt.Sprintf("server %d", m.Server+1)
	}
	s := fmt.Sprintf("%v: %s, %s", m.At, who, kindNames[m.Kind])
	switch m.Kind {
	case Deaf, Mute, Lossy, Doubling:
		s += " " + [...]string{packet.North: "north", packet.South: "south"}[m.Side]
	}
	if m.Share > 0 {
		s += fmt.Sprintf(" %.0f %%", 100*m.Share)
	}
	if m.For > 0 {
		s += fmt.Sprintf(" for %v", m.For)
	}
	return s
}

// Strike plans a mishap.
func (c *Cluster) Strike(m Mishap) {
	c.Sim.After(m.At-c.Sim.Elapsed(), func() {
		c.Sim.Log("%v", m)
		c.begins(m)
		if m.For > 0 {
			c.Sim.After(m.For, func() {
				c.Sim.Log("ends: %v", m)
				c.ends(m)
			})
		}
	})
}

func (c *Cluster) begins(m Mishap) {
	n, s := c.Nodes[m.Node], c.Servers[m.Server]
	l := n.links[m.Side]
	switch m.Kind {
	case Crash:
		n.kill()
	case Massacre:
		for _, n := range c.Nodes[m.Node:] {
			if !n.down {
				n.kill()
			}
		}
	case Stop:
		n.stop()
	case CutNorth, CutSouth, CutBoth:
		for side, l := range n.links {
			if m.Kind == CutBoth || m.Kind == CutNorth == (packet.Port(side) == packet.North) {
				l.in, l.out = 1, 1
			}
		}
	case Deaf:
		l.in = 1
	case Mute:
		l.out = 1
	case Lossy:
		l.in, l.out = m.Share, m.Share
	case Slow:
		n.slowness = time.Duration(m.Share * float64(time.Second))
	case Doubling:
		l.doubled = m.Share
	case Drain:
		n.control.core.Drain(n.control.now(), true)
	case Join:
		c.live(n)
	case ServerDeath:
		s.down = true
	case ServerDrain:
		s.Agent.SetDraining(true)
	case ServerJoin:
		s.down = false
	}
}

func (c *Cluster) ends(m Mishap) {
	n := c.Nodes[m.Node]
	switch m.Kind {
	case Crash:
		c.live(n)
	case Massacre:
		for _, n := range c.Nodes[m.Node:] {
			c.live(n)
		}
	case Stop:
		n.resume()
	case Slow:
		n.slowness = 0
	case Drain:
		n.control.core.Drain(n.control.now(), false)
	case ServerDrain:
		c.Servers[m.Server].Agent.SetDraining(false)
	default:
		for _, l := range n.links {
			l.mend()
		}
	}
}

// live is the beginning of a node's next life.
func (c *Cluster) live(n *Node) {
	if err := n.restart(); err != nil {
		c.Sim.Violate("%v", err)
		return
	}
	c.begin(n)
	n.tick()
}
