package membership

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"weir/dataplane/wire"
)

// letter is a gossip datagram as a node would send it.
func letter(from *host, g *wire.Gossip) (wire.Header, []byte) {
	var d []byte
	g.Split(func(p *wire.Gossip) {
		d = make([]byte, wire.MaxGossip)
		d = d[:wire.PutGossip(d, p)]
	})
	d[1] = wire.MsgGossip
	from.seq++
	return wire.Header{Type: wire.MsgGossip, Sender: from.number, Boot: from.nodedBoot, Seq: from.seq}, d
}

func TestGossipIsTakenOnlyOnceAndOnlyFromThePresentLifeOfItsSender(t *testing.T) {
	w := running(t, 3, 1)
	w.run(5 * time.Second)
	to, from := w.h(1).core, w.h(2)
	death := &wire.Gossip{Deaths: []wire.Death{{Number: 3, By: 2, Boot: w.h(3).boot, Beats: w.h(2).core.byNum[3].beats}}}

	h, d := letter(from, death)
	h.Role = wire.RoleServer
	if err := to.Gossip(w.now, &h, d); !errors.Is(err, ErrStranger) {
		t.Errorf("from a server: %v", err)
	}
	h.Role, h.Sender = wire.RoleNode, 9
	if err := to.Gossip(w.now, &h, d); !errors.Is(err, ErrStranger) {
		t.Errorf("from nobody: %v", err)
	}
	h.Sender, h.Boot = 2, from.nodedBoot+1
	if err := to.Gossip(w.now, &h, d); !errors.Is(err, ErrUnproven) {
		t.Errorf("from a life that has not answered: %v", err)
	}
	h.Boot = from.nodedBoot
	if err := to.Gossip(w.now, &h, d[:50]); err != wire.ErrGossip {
		t.Errorf("truncated: %v", err)
	}
	if to.byNum[3].state != StateHealthy {
		t.Fatal("what was refused has an effect")
	}
	h, d = letter(from, death)
	if err := to.Gossip(w.now, &h, d); err != nil {
		t.Errorf("as sent: %v", err)
	}
	if err := to.Gossip(w.now, &h, d); !errors.Is(err, ErrReplayed) {
		t.Errorf("a second time: %v", err)
	}
	w.run(5 * time.Second)
	from.restartNoded()
	w.run(time.Second)
	if err := to.Gossip(w.now, &h, d); !errors.Is(err, ErrUnproven) {
		t.Errorf("after its sender's end: %v", err)
	}
	w.run(time.Second)
	if !w.allAnnounced() {
		t.Error("it had an effect")
	}
}

func TestAPongCountsOnce(t *testing.T) {
	w := running(t, 3, 1)
	c := w.h(1).core
	p := c.byNum[2]
	c.check(p)
	k := p.latest()
	a := Pong{Node: 2, Side: wire.PingNorth, Nonce: k.nonce[wire.PingNorth], Boot: w.h(2).boot, Noded: w.h(2).nodedBoot}
	for _, c2 := range []struct {
		what string
		edit func(a *Pong)
	}{
		{"another nonce", func(a *Pong) { a.Nonce++ }},
		{"the other side", func(a *Pong) { a.Side = wire.PingSouth }},
		{"no such side", func(a *Pong) { a.Side = 2 }},
		{"another node", func(a *Pong) { a.Node = 3 }},
		{"no such node", func(a *Pong) { a.Node = 9 }},
		{"this node", func(a *Pong) { a.Node = 1 }},
		{"no boot id", func(a *Pong) { a.Boot = 0 }},
	} {
		b := a
		c2.edit(&b)
		if c.Pong(w.now, b) {
			t.Errorf("%s is taken", c2.what)
		}
	}
	if !c.Pong(w.now, a) || c.Pong(w.now, a) {
		t.Error("the answer is taken never, or twice")
	}
}

func TestCountersOfSuspectsAreNotGossiped(t *testing.T) {
	w := running(t, 5, 1)
	c := w.h(1).core
	c.byNum[2].state = StateSuspect
	c.die(c.byNum[3], wire.Death{Number: 3, By: 1, Boot: c.byNum[3].boot, Beats: 5})
	var g wire.Gossip
	c.everything(&g)
	for _, n := range g.Nodes {
		if n.Number == 2 || n.Number == 3 || n.Number == 1 && n.Beats != 0 {
			t.Errorf("gossip has %+v", n)
		}
	}
	if len(g.Nodes) != 3 || len(g.Deaths) != 1 || g.Deaths[0].Number != 3 {
		t.Errorf("gossip is %+v", g)
	}
}

func TestNodesAndServersThatLeaveTheClusterFileAreForgottenAndTheOthersKept(t *testing.T) {
	w := serving(t, 4, 3)
	w.hosts[3].stop()
	w.servers = []uint16{1, 3}
	for _, h := range w.live() {
		h.core.Configure(w.now, []Node{{1, true}, {2, true}, {3, false}}, w.servers)
	}
	w.run(200 * time.Millisecond)
	epoch := w.h(1).core.View().Epoch
	for _, h := range w.live() {
		v := h.core.View()
		if len(v.Nodes) != 3 || len(v.Servers) != 2 || v.Servers[1].Number != 3 || !v.Servers[1].Healthy ||
			v.Epoch != epoch || !v.Nodes[0].Announce || !v.Nodes[2].Announce {
			t.Errorf("node %d: %+v", h.number, v)
		}
	}
	w.run(10 * time.Second)
	if w.false > 0 || w.stats["suspect"] > 0 {
		t.Errorf("%v", w.stats)
	}
}

func TestNonsenseFromAProvenNodeIsSurvived(t *testing.T) {
	for seed := range uint64(20) {
		w := serving(t, 4, 2)
		w.rng = rand.New(rand.NewPCG(seed, 3))
		some := func() uint64 {
			known := []uint64{0, 1, w.h(1).boot, w.h(2).boot, w.h(3).boot, w.rng.Uint64(), wire.DeathFinal, wire.DeathFinal - 1, w.rng.Uint64N(500)}
			return known[w.rng.IntN(len(known))]
		}
		number := func() uint16 { return uint16(w.rng.IntN(7)) }
		for range 300 {
			g := &wire.Gossip{Pull: w.rng.IntN(9) == 0, Answer: w.rng.IntN(9) == 0,
				Deaths:   []wire.Death{{Number: number(), By: number(), Boot: some(), Beats: some()}},
				Asks:     []wire.Ask{{Number: number(), Since: uint16(some()), Boot: some()}},
				Opinions: []wire.Opinion{{Number: number(), Alive: w.rng.IntN(2) == 0, Boot: some()}},
				Nodes:    []wire.NodeRecord{{Number: number(), Flags: uint8(some()), Boot: some(), Noded: some(), Version: some(), Synced: uint32(some()), Beats: some()}},
				Servers:  []wire.ServerRecord{{Number: number(), Healthy: w.rng.IntN(2) == 0, Alive: w.rng.IntN(2) == 0, Boot: some(), Beats: some(), Life: some()}},
			}
			h, d := letter(w.h(4), g)
			_ = w.h(uint16(w.rng.IntN(3)+1)).core.Gossip(w.now, &h, d) // whatever it says of it
			w.run(30 * time.Millisecond)
		}
	}
}
