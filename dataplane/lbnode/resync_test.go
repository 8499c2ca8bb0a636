package lbnode

import (
	"math/rand/v2"
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// ring gives the living nodes a ring of the given members. Nodes that are not
// among them are dead: they get nothing any more.
func (c *cluster) ring(epoch uint32, members ...uint16) {
	c.t.Helper()
	c.dead = map[uint16]bool{}
	in := map[uint16]bool{}
	for _, m := range members {
		in[m] = true
	}
	for _, n := range c.nodes {
		if c.dead[n.number] = !in[n.number]; c.dead[n.number] {
			continue
		}
		cfg := *n.cfg
		cfg.Epoch = epoch
		cfg.Nodes = append([]Node(nil), cfg.Nodes...)
		for i := range cfg.Nodes {
			cfg.Nodes[i].Tracker = in[cfg.Nodes[i].Number]
		}
		if err := cfg.Prepare(); err != nil {
			c.t.Fatal(err)
		}
		n.cfg = &cfg
		n.w.SetConfig(&cfg)
		n.slow.SetConfig(&cfg)
	}
}

// synced reports whether all living nodes have handed everything on.
func (c *cluster) synced(epoch uint32) bool {
	for _, n := range c.nodes {
		if !c.dead[n.number] && n.w.Synced() != epoch {
			return false
		}
	}
	return true
}

// mustSync lets at most so many milliseconds pass until all is handed on.
func (c *cluster) mustSync(epoch uint32, ms int) {
	c.t.Helper()
	for range ms {
		if c.advance(1); c.synced(epoch) {
			return
		}
	}
	c.t.Fatalf("after %d ms not everything is handed on", ms)
}

// ringOf names the two trackers of a flow, as a living node sees them.
func (c *cluster) ringOf(k flow.Key) (first, second uint16) {
	for _, n := range c.nodes {
		if !c.dead[n.number] {
			return n.w.view.ring.Trackers(&k)
		}
	}
	return NoNode, NoNode
}

// connected makes so many committed flows, spread over the first nodes.
func (c *cluster) connected(flows, nodes int) (keys []flow.Key) {
	c.t.Helper()
	for i := range flows {
		k := testKey(uint16(20000+i), i%2 == 1)
		c.client = nil
		for _, s := range c.servers {
			s.data = nil
		}
		if !c.connect(k, i%nodes, i%nodes, "x") {
			c.t.Fatalf("flow %d is not connected", i)
		}
		keys = append(keys, k)
	}
	return keys
}

// replicated fails unless both trackers of every flow have it, of one server.
func (c *cluster) replicated(keys []flow.Key) {
	c.t.Helper()
	for i, k := range keys {
		owner := c.owners(k)[0].number
		first, second := c.ringOf(k)
		for place, number := range []uint16{first, second} {
			if number == NoNode {
				continue
			}
			e := c.nodes[number].has(c.nodes[number].w.tracked, k)
			if e == nil || e.Server != owner {
				c.t.Fatalf("flow %d: tracker %d, node %d, has %+v, the server is %d", i, place, number, e, owner)
			}
			if e.Flags&flagsOwed != 0 || (e.Flags&flagPrimary != 0) != (place == 0) {
				c.t.Fatalf("flow %d: tracker %d has flags %b", i, place, e.Flags)
			}
		}
	}
}

func TestAfterADeathEveryFlowHasTwoTrackersAgain(t *testing.T) {
	for dead := range uint16(4) {
		c := newCluster(t, 4, 2, nil)
		c.ring(1, 0, 1, 2, 3)
		keys := c.connected(60, 4)
		c.mustSync(1, 100)
		var alive []uint16
		for n := range uint16(4) {
			if n != dead {
				alive = append(alive, n)
			}
		}
		c.ring(2, alive...)
		c.mustSync(2, 200)
		c.replicated(keys)
	}
}

func TestAJoiningNodeGetsItsFlowsBeforeAnybodyIsDone(t *testing.T) {
	c := newCluster(t, 4, 2, nil)
	c.ring(1, 0, 1, 2)
	keys := c.connected(60, 3)
	c.ring(2, 0, 1, 2, 3)
	c.mustSync(2, 200)
	c.replicated(keys)
}

func TestLostSyncMessagesAreRepeatedUntilAcknowledged(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	c.ring(1, 0, 1, 2)
	keys := c.connected(40, 3)
	luck := rand.New(rand.NewPCG(1, 2))
	c.filter = func(f *frame) int {
		if (f.msg.Type == wire.MsgSync || f.msg.Type == wire.MsgSyncAck) && luck.IntN(3) > 0 {
			return 0
		}
		return 1
	}
	c.ring(2, 0, 2)
	c.mustSync(2, 2000)
	c.replicated(keys)
}

func TestANodeThatLostItsStateIsFilledAgain(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	c.ring(1, 0, 1, 2)
	keys := c.connected(40, 3)
	c.nodes[1].w.Flush()
	for _, n := range c.nodes {
		n.cfg.Nodes = append([]Node(nil), n.cfg.Nodes...)
		n.cfg.Nodes[1].Boot++
	}
	c.ring(2, 0, 1, 2)
	c.mustSync(2, 200)
	c.replicated(keys)
}

func TestTwoDeathsInARowLoseNothingThatWasHandedOn(t *testing.T) {
	c := newCluster(t, 5, 2, nil)
	c.ring(1, 0, 1, 2, 3, 4)
	keys := c.connected(60, 5)
	c.ring(2, 0, 1, 2, 3)
	c.mustSync(2, 200)
	c.ring(3, 0, 1, 2)
	c.mustSync(3, 200)
	c.replicated(keys)
	c.ring(4, 1) // nobody is left to replicate to
	c.mustSync(4, 200)
	c.ring(5, 0, 1)
	c.mustSync(5, 200)
	first, _ := c.ringOf(keys[0])
	if first == NoNode {
		t.Fatal("no tracker")
	}
}

func TestTrackersThatDisagreeConvergeOnTheYoungerWord(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	c.ring(1, 0, 1, 2)
	k := c.connected(1, 1)[0]
	c.advance(1000)
	first, second := c.ringOf(k)
	// The primary learns of the tuple's next life alone.
	e := c.nodes[first].has(c.nodes[first].w.tracked, k)
	e.ClientISN, e.ServerISN, e.Server, e.Renewed = 7, 8, 1, c.nodes[first].w.tick32()
	old := *c.nodes[second].has(c.nodes[second].w.tracked, k)
	m := wire.Tracker{Key: k, ClientISN: old.ClientISN, ServerISN: old.ServerISN, Server: old.Server, Seq: 9}
	m.Type = wire.MsgSync
	c.nodes[second].w.toNode(first, &m)
	c.settle()
	for _, n := range []uint16{first, second} {
		if e := c.nodes[n].has(c.nodes[n].w.tracked, k); e.ServerISN != 8 || e.Server != 1 {
			t.Errorf("node %d holds %+v", n, e)
		}
	}
}

func TestAQueryUnderAnotherViewIsPassedOnOnce(t *testing.T) {
	c := newCluster(t, 4, 2, nil)
	c.ring(1, 0, 1, 2, 3)
	// A flow whose trackers are 0 and 1, asked for by a node that believes in 2 and 3.
	var k flow.Key
	for port := uint16(30000); ; port++ {
		k = testKey(port, false)
		if first, second := c.ringOf(k); first < 2 && second < 2 {
			break
		}
	}
	if !c.connect(k, 0, 0, "x") {
		t.Fatal("not connected")
	}
	asker := c.nodes[3]
	cfg := *asker.cfg
	cfg.Epoch, cfg.Nodes = 9, append([]Node(nil), cfg.Nodes...)
	cfg.Nodes[0].Tracker, cfg.Nodes[1].Tracker = false, false
	if err := cfg.Prepare(); err != nil {
		t.Fatal(err)
	}
	asker.w.SetConfig(&cfg)
	c.fromClient(3, k, packet.TCPSpec{Seq: 5000, Ack: 6000, Flags: packet.ACK, Window: 100})
	c.advance(40)
	if asker.has(asker.w.mapped, k) == nil {
		t.Error("the mapping was not found")
	}
	if n := c.count(QueriesForwarded); n == 0 || n > 2 {
		t.Errorf("passed on %d times", n)
	}
}

func TestAnEntryThatNobodyPublishesStopsForwarding(t *testing.T) {
	c := newCluster(t, 3, 1, func(cfg *Config) { cfg.Lease = 100 })
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
	next := packet.TCPSpec{Seq: 1006, Ack: 1, Flags: packet.ACK, Window: 100}
	for range 9 {
		c.advance(1000)
		c.fromClient(0, k, next) // use does not renew it
	}
	got := len(c.servers[0].data)
	c.advance(2000)
	c.client = nil
	c.fromClient(0, k, next)
	c.advance(50)
	if len(c.servers[0].data) != got {
		t.Error("the packet was forwarded")
	}
	if len(c.client) != 1 || c.client[0].TCPFlags&packet.RST == 0 {
		t.Errorf("the client got %+v", c.client)
	}
}

func TestPacketsToADeadServerAreReset(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
	for _, n := range c.nodes {
		cfg := *n.cfg
		cfg.Servers = append([]Server(nil), cfg.Servers...)
		cfg.Servers[0].Dead, cfg.Servers[0].Healthy = true, false
		if err := cfg.Prepare(); err != nil {
			t.Fatal(err)
		}
		n.w.SetConfig(&cfg)
	}
	c.client = nil
	c.fromClient(0, k, packet.TCPSpec{Seq: 1006, Ack: 77, Flags: packet.ACK, Window: 100})
	if len(c.client) > 0 {
		t.Errorf("reset for a server that has just accepted: %+v", c.client)
	}
	c.advance(3000)
	for ingress := range 2 { // one that has the mapping, one that must ask
		c.client = nil
		c.fromClient(ingress, k, packet.TCPSpec{Seq: 1006, Ack: 77, Flags: packet.ACK, Window: 100})
		c.advance(50)
		if len(c.client) != 1 || c.client[0].TCPFlags&packet.RST == 0 || c.client[0].Seq != 77 {
			t.Errorf("ingress %d: the client got %+v", ingress, c.client)
		}
	}
}

func TestAnUnknownFlowIsNotResetWhileTheRingIsYoung(t *testing.T) {
	c := newCluster(t, 3, 1, func(cfg *Config) { cfg.Settled = false })
	c.fromClient(0, testKey(40000, false), packet.TCPSpec{Seq: 5, Ack: 6, Flags: packet.ACK, Window: 100})
	c.advance(1500)
	if len(c.client) != 0 {
		t.Errorf("the client got %+v", c.client)
	}
}

func TestAnIdleConnectionIsNotOfferedAnewAfterItsTrackersLostIt(t *testing.T) {
	c := newCluster(t, 3, 3, func(cfg *Config) { cfg.Settled = false })
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "") { // established, and no byte sent
		t.Fatal("not connected")
	}
	sa := c.lastSynAck()
	o := packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSval: 1001, TSecr: tsvalOf(c, sa)}
	c.advance(6000)
	for _, n := range c.nodes {
		n.forget()
	}
	offers := 0
	for _, s := range c.servers {
		offers += len(s.offers)
	}
	c.client = nil
	c.fromClient(1, k, packet.TCPSpec{Seq: clientISN + 1, Ack: sa.Seq + 1, Flags: packet.ACK, Window: 502, Options: &o, Payload: []byte("late")})
	c.advance(1500)
	for _, s := range c.servers {
		offers -= len(s.offers)
	}
	if offers != 0 || len(c.client) != 0 {
		t.Errorf("%d more offers, the client got %v", -offers, c.client)
	}
	owner := c.owners(k)[0]
	owner.publish(2, owner.publication(k, 0))
	before := len(owner.data)
	c.fromClient(1, k, packet.TCPSpec{Seq: clientISN + 1, Ack: sa.Seq + 1, Flags: packet.ACK, Window: 502, Options: &o, Payload: []byte("late")})
	c.advance(50)
	if len(owner.data) == before {
		t.Error("the repeated packet does not arrive although the connection was published")
	}
}
