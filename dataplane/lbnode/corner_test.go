package lbnode

import (
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// restart gives a node a worker that knows nothing, as after a crash.
func (c *cluster) restart(node int) {
	n := c.nodes[node]
	w, err := NewWorker(0, Limits{Flows: 1024, HalfOpen: 256, Held: 256}, n, flow.Seed{uint64(node), 98})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(w.Close)
	n.w = w
	for _, other := range c.nodes {
		cfg := *other.cfg
		cfg.Nodes = append([]Node(nil), cfg.Nodes...)
		cfg.Nodes[node].Boot += 1000 // another life: the others must not take its sequence numbers for old ones
		if err := cfg.Prepare(); err != nil {
			c.t.Fatal(err)
		}
		other.cfg = &cfg
		other.w.SetConfig(&cfg)
		other.slow.SetConfig(&cfg)
	}
}

// syn opens a connection at a node and returns the SYN/ACK.
func (c *cluster) syn(k flow.Key, node int, isn uint32) *packet.Info {
	o := clientOptions
	c.fromClient(node, k, packet.TCPSpec{Seq: isn, Flags: packet.SYN, Window: 64240, Options: &o})
	return c.lastSynAck()
}

// holdOffers keeps offers from the servers until the returned function is called.
func (c *cluster) holdOffers() (release func()) {
	held := true
	c.filter = func(f *frame) int {
		if f.msg.Type == wire.MsgOffer && held {
			return 0
		}
		return 1
	}
	return func() { held = false }
}

// trackers are the numbers of a flow's primary and secondary.
func (c *cluster) trackers(k flow.Key) (primary, secondary int) {
	p, s := c.nodes[0].w.view.ring.Trackers(&k)
	return int(p), int(s)
}

func (c *cluster) resets() (n int) {
	for _, in := range c.client {
		if in.TCPFlags&packet.RST != 0 {
			n++
		}
	}
	return n
}

func TestPrimaryThatLostItsStateTakesUpWhatTheSecondaryCommitted(t *testing.T) {
	for port := uint16(45000); port < 45012; port++ {
		c := newCluster(t, 3, 4, nil)
		c.decide = func(_ *testServer, m *wire.Tracker) uint8 {
			if m.Offer == 0 {
				return wire.RejectCPU // so that beginning anew would not lead to the same server
			}
			return wire.RejectNone
		}
		k := testKey(port, false)
		p, s := c.trackers(k)
		other := 3 - p - s
		if !c.connect(k, other, other, "") {
			t.Fatal("not connected")
		}
		owner := c.owners(k)[0]
		c.restart(p)
		c.restart(other)
		before := len(owner.data)
		c.ack(k, other, "hello")
		c.advance(500)
		if owner.ended != 0 || len(owner.data) != before+1 {
			t.Fatalf("port %d: ended %d times, %d packets arrived at the owner", port, owner.ended, len(owner.data)-before)
		}
	}
}

func TestLateMappingOfAnOldIncarnationChangesNothing(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	k := testKey(45100, false)
	if !c.connect(k, 0, 1, "hello") {
		t.Fatal("not connected")
	}
	w := c.nodes[1].w
	before := w.Trace(&k)
	late := wire.Tracker{Header: wire.Header{Type: wire.MsgMapping}, Key: k, ClientISN: 1, ServerISN: 2, Server: before.Server ^ 1}
	w.dispatch(&late)
	if after := w.Trace(&k); after != before {
		t.Errorf("the mapping became %+v", after)
	}

	release := c.holdOffers()
	k = testKey(45101, false)
	c.syn(k, 0, clientISN)
	c.ack(k, 1, "hello")
	late.Key = k
	w.dispatch(&late)
	if u := w.Usage(); u.Pending != 1 {
		t.Error("a mapping of another incarnation released what was held")
	}
	release()
	c.advance(500)
	if o := c.owners(k); len(o) != 1 || len(o[0].data) == 0 {
		t.Error("not connected")
	}
}

func TestPacketsThatNoCookieVouchesForLeaveRoomToHoldOthers(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	k := testKey(45200, false)
	c.syn(k, 0, clientISN)
	c.filter = func(f *frame) int {
		if f.msg.Type == wire.MsgQuery && f.msg.Key != k {
			return 0 // the flood's stay unanswered
		}
		return 1
	}
	for i := range 2000 {
		c.fromClient(0, testKey(uint16(1000+i%40), false), packet.TCPSpec{Seq: uint32(i), Ack: 99, Flags: packet.ACK, Payload: []byte("x")})
	}
	if c.count(DropHoldFull) == 0 {
		t.Fatal("the flood does not fill the room")
	}
	c.ack(k, 0, "hello")
	c.advance(100)
	if o := c.owners(k); len(o) != 1 || len(o[0].data) != 1 {
		t.Error("a flood of unknown flows cost a legitimate one its data")
	}
}

func TestResetOfAClientReachesItsServer(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	release := c.holdOffers()
	k := testKey(45300, false)
	sa := c.syn(k, 0, clientISN)
	c.ack(k, 1, "hello")
	c.fromClient(1, k, packet.TCPSpec{Seq: clientISN + 6, Flags: packet.RST})
	release()
	c.advance(500)
	owner := c.owners(k)[0]
	if n := len(owner.data); n != 2 || owner.data[1].TCPFlags != packet.RST {
		t.Fatalf("%d packets reached the server, the last should be a reset", n)
	}
	// At another node, as after a change of the router's paths.
	for node := range 3 {
		c.restart(node)
		c.nodes[node].w.commit(&wire.Tracker{Key: k, ClientISN: clientISN, ServerISN: sa.Seq, Server: owner.number}, c.nodes[node].w.hash(&k), false)
		c.fromClient(node, k, packet.TCPSpec{Seq: clientISN + 6, Flags: packet.RST})
	}
	if n := len(owner.data); n != 5 {
		t.Errorf("%d of 3 resets at nodes without a mapping reached the server", n-2)
	}
}

func TestResetOfAnUnknownFlowIsNotAnsweredAndBeginsNothing(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	k := testKey(45400, false)
	sa := c.syn(k, 0, clientISN)
	c.client = nil
	c.fromClient(1, k, packet.TCPSpec{Seq: clientISN + 1, Ack: sa.Seq + 1, Flags: packet.RST | packet.ACK,
		Options: &packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSecr: tsvalOf(c, sa)}})
	c.advance(200)
	if len(c.client) != 0 || c.count(OffersSent) != 0 || c.count(DropUnknownReset) != 1 {
		t.Errorf("%d answers, %d offers, %d counted", len(c.client), c.count(OffersSent), c.count(DropUnknownReset))
	}
	if u := c.nodes[1].w.Usage(); u.Pending != 0 || u.Held != 0 {
		t.Errorf("left behind: %+v", u)
	}
}

func TestDataOfAReusedPortWaitsWithTheAckThatProvesIt(t *testing.T) {
	for port := uint16(45500); port < 45510; port++ {
		c := newCluster(t, 3, 4, nil)
		k := testKey(port, false)
		if !c.connect(k, 0, 1, "hello") {
			t.Fatal("not connected")
		}
		old := c.owners(k)[0]
		before := len(old.data)
		delete(old.commits, k)
		delete(old.accepted, k) // a packet that reaches it now fails the test
		release := c.holdOffers()
		sa := c.syn(k, 1, 999_000)
		echo := packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSval: 1001, TSecr: tsvalOf(c, sa)}
		for i, payload := range []string{"", "first", "second"} {
			c.fromClient(1, k, packet.TCPSpec{Seq: 999_001 + uint32(max(0, i-1)*5), Ack: sa.Seq + 1, Flags: packet.ACK, Window: 502,
				Options: &echo, Payload: []byte(payload)})
		}
		release()
		c.advance(300)
		o := c.owners(k)
		if len(o) != 1 {
			t.Fatalf("port %d: %d owners", port, len(o))
		}
		got := o[0].data
		if o[0] == old {
			got = got[before:]
		}
		if len(got) != 3 || got[2].Seq != 999_006 {
			t.Errorf("port %d: %d of 3 packets arrived", port, len(got))
		}
	}
}

func TestRefusedClientIsResetAlsoUnderAFloodThatTakesAllResets(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	c.decide = func(*testServer, *wire.Tracker) uint8 { return wire.RejectDraining }
	for _, n := range c.nodes {
		n.w.resets = newBucket(0, 0)
	}
	k := testKey(45600, false)
	c.syn(k, 0, clientISN)
	c.ack(k, 1, "hello")
	c.advance(100)
	if c.resets() != 1 {
		t.Errorf("%d resets", c.resets())
	}
}

func TestClientIsResetWhenAllServersAreSilent(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		c := newCluster(t, nodes, 4, func(c *Config) { c.Endpoints[0].TTL = 8 })
		for _, s := range c.servers {
			s.silent = true
		}
		k := testKey(45700, false)
		c.syn(k, 0, clientISN)
		c.ack(k, nodes-1, "hello")
		c.advance(12_500) // 1.4 s per silent server
		if c.resets() != 1 {
			t.Errorf("%d nodes: %d resets once every server was asked", nodes, c.resets())
		}
		if n := c.count(OffersSent); n != 8 {
			t.Errorf("%d nodes: %d offers, TTL is 8", nodes, n)
		}
	}
}

func TestPrimaryOffersThroughTheSecondaryThatTheRingHasNow(t *testing.T) {
	for _, left := range []int{1, 2} { // trackers besides the dead one
		c := newCluster(t, 3, 4, nil)
		k := testKey(45800, false)
		p, s := c.trackers(k)
		c.syn(k, p, clientISN)
		dead := c.nodes[s].cfg.Nodes[s].MAC
		c.filter = func(f *frame) int {
			if MAC(f.buf.Bytes()[:6]) == dead || f.from == c.nodes[s].cfg.Nodes[s].ID {
				return 0
			}
			return 1
		}
		c.ack(k, p, "hello")
		c.advance(100)
		for _, n := range c.nodes {
			cfg := *n.cfg
			cfg.Nodes = append([]Node(nil), cfg.Nodes...)
			for i := range cfg.Nodes {
				cfg.Nodes[i].Tracker = i != s && (left == 2 || i == p)
			}
			if err := cfg.Prepare(); err != nil {
				t.Fatal(err)
			}
			n.cfg = &cfg
			n.w.SetConfig(&cfg)
		}
		c.advance(1000)
		if o := c.owners(k); len(o) != 1 || len(o[0].data) != 1 || o[0].commits[k] == 0 {
			t.Errorf("%d trackers left: %d owners", left, len(o))
		}
	}
}

func TestOneConnectionIsCountedOnce(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		c := newCluster(t, nodes, 2, nil)
		if !c.connect(testKey(45900, false), 0, nodes-1, "hello") {
			t.Fatal("not connected")
		}
		if n := c.count(ConnectionsCommitted); n != 1 {
			t.Errorf("%d nodes: counted %d times", nodes, n)
		}
	}
}

func TestCookieOfANodeWhoseClockIsAheadIsAccepted(t *testing.T) {
	const edge = 1_800_000_000 / cookiePeriod * cookiePeriod
	for _, ts := range []bool{false, true} {
		o := options{mss: 1432, wscale: 7, sack: true, ts: ts}
		isn := makeISN(cookieKey, cookieFlow(), 77, o, edge)
		if _, ok := checkCookie([]wire.Key{cookieKey}, cookieFlow(), 77, isn, ts, makeTSval(o, edge*1000), edge-1); !ok {
			t.Errorf("refused one second before its period (timestamps: %v)", ts)
		}
	}
}

// A server that speaks first leaves the client nothing to repeat: the SYN/ACK
// is repeated for a minute, however many of the client's answers are lost (S-10).
func TestSynAckIsRepeatedUntilAnAnswerArrives(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		c := newCluster(t, nodes, 4, nil)
		k := testKey(45800, false)
		c.syn(k, 0, clientISN)
		for _, after := range []int{0, 1, 3, 7, 15, 31, 63} {
			want := c.now
			c.client = nil
			if after > 0 {
				for len(c.client) == 0 && c.now < 65e9 {
					c.advance(10)
				}
				if len(c.client) == 0 {
					t.Fatalf("%d nodes: no SYN/ACK after %d s, nothing since %d", nodes, after, want)
				}
				if at := float64(c.now-1e9) / 1e9; at < float64(after)-0.1 || at > float64(after)+0.2 {
					t.Errorf("%d nodes: repeated after %.2f s, want %d", nodes, at, after)
				}
			}
		}
		c.ack(k, nodes-1, "")
		c.advance(300)
		if len(c.owners(k)) != 1 {
			t.Errorf("%d nodes: the last answer did not connect", nodes)
		}
	}
}

// The first server rejects, the second accepts, and its tracker dies before it
// hears that. The tracker that begins anew meets the accept of a later offer
// than its own: that stands, and nobody is asked once more.
func TestATrackerThatBeginsAnewTakesTheAcceptOfALaterOffer(t *testing.T) {
	c := newCluster(t, 1, 3, nil)
	c.decide = func(_ *testServer, m *wire.Tracker) uint8 {
		if m.Offer == 0 {
			return wire.RejectCPU
		}
		return wire.RejectNone
	}
	k := testKey(45100, false)
	c.syn(k, 0, clientISN)
	lost := map[uint8]bool{wire.MsgAccept: true}
	c.filter = func(f *frame) int {
		if lost[f.msg.Type] {
			return 0
		}
		return 1
	}
	c.ack(k, 0, "hello")
	c.advance(10)
	c.restart(0)
	// The server's accept comes while the first server is asked again.
	lost[wire.MsgAccept], lost[wire.MsgReject] = false, true
	c.ack(k, 0, "hello")
	c.advance(100)
	lost[wire.MsgReject] = false
	c.advance(1000)
	owners := c.owners(k)
	if len(owners) != 1 || owners[0].commits[k] == 0 || len(owners[0].data) == 0 {
		t.Fatalf("%d servers have the connection: %+v", len(owners), owners)
	}
	for _, s := range c.servers {
		if s.ended != 0 {
			t.Errorf("server %d was superseded", s.number)
		}
		for _, m := range s.offers {
			if m.Offer > 1 {
				t.Errorf("server %d got offer %d", s.number, m.Offer)
			}
		}
	}
}
