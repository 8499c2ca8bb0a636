package lbnode

import (
	"fmt"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

func testKey(port uint16, v6 bool) flow.Key {
	client, vip := netip.MustParseAddr("198.51.100.10"), testVIP4
	if v6 {
		client, vip = netip.MustParseAddr("2001:db8:51::10"), testVIP6
	}
	return flow.MakeKey(netip.AddrPortFrom(client, port), netip.AddrPortFrom(vip, 80), 6)
}

var clientOptions = packet.TCPOptions{MSS: 1460, WScale: 7, SACKPermitted: true, Timestamps: true, TSval: 1000}

const clientISN = 5000

// connect performs the client's side: SYN to one node, ACK or data to another.
// It repeats both as a client does, and stops when a server got the data.
func (c *cluster) connect(k flow.Key, synNode, dataNode int, payload string) bool {
	o := clientOptions
	for range 4 {
		if len(c.client) == 0 {
			c.fromClient(synNode, k, packet.TCPSpec{Seq: clientISN, Flags: packet.SYN, Window: 64240, Options: &o})
			c.advance(1000)
		}
		if len(c.client) > 0 {
			break
		}
	}
	for range 6 {
		c.ack(k, dataNode, payload)
		c.advance(300)
		for _, s := range c.servers {
			for _, in := range s.data {
				if in.PayloadLen() == len(payload) && s.commits[k] > 0 {
					return true
				}
			}
		}
	}
	return false
}

func (c *cluster) ack(k flow.Key, node int, payload string) {
	sa := c.lastSynAck()
	o := packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSval: 1001, TSecr: tsvalOf(c, sa)}
	c.fromClient(node, k, packet.TCPSpec{Seq: clientISN + 1, Ack: sa.Seq + 1, Flags: packet.ACK, Window: 502, Options: &o, Payload: []byte(payload)})
}

// tsvalOf finds the timestamp by trying the clock: the test keeps no frames.
func tsvalOf(c *cluster, sa *packet.Info) uint32 {
	o := options{mss: mssTable[sa.Seq>>29], wscale: clientOptions.WScale, sack: true, ts: true}
	return makeTSval(o, (c.now+c.nodes[0].cfg.WallNanos)/1e6)
}

func TestEveryPlaceOfIngressAmongTheTrackersConnects(t *testing.T) {
	roles := map[string]int{}
	for port := uint16(40000); port < 40060; port++ {
		for _, v6 := range []bool{false, true} {
			for synNode := range 3 {
				c := newCluster(t, 3, 4, nil)
				k := testKey(port, v6)
				dataNode := (synNode + int(port)) % 3
				if !c.connect(k, synNode, dataNode, "hello") {
					t.Fatalf("%v: SYN at node %d, data at node %d: not connected", k, synNode, dataNode)
				}
				if n := len(c.owners(k)); n != 1 {
					t.Fatalf("%v: %d servers own it", k, n)
				}
				p, s := c.nodes[0].w.view.ring.Trackers(&k)
				at := "neither"
				switch uint16(dataNode) {
				case p:
					at = "primary"
				case s:
					at = "secondary"
				}
				roles[at]++
				for _, n := range []uint16{p, s} {
					if tr := c.nodes[n].w.Trace(&k); !tr.Tracked || tr.Server != c.owners(k)[0].number {
						t.Fatalf("%v: tracker %d holds %+v", k, n, tr)
					}
				}
			}
		}
	}
	if roles["primary"] == 0 || roles["secondary"] == 0 || roles["neither"] == 0 {
		t.Errorf("ingress was %v: not all places occurred", roles)
	}
}

func TestLoneNodeConnectsUnreplicated(t *testing.T) {
	c := newCluster(t, 1, 3, nil)
	k := testKey(40001, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
}

// One message, lost or doubled, at a time: all types, first three copies.
func TestHandshakeSurvivesEveryMessageLostOrDoubled(t *testing.T) {
	names := map[uint8]string{wire.MsgSyn: "syn", wire.MsgSynStore: "syn store", wire.MsgQuery: "query", wire.MsgChoice: "choice",
		wire.MsgOffer: "offer", wire.MsgAccept: "accept", wire.MsgMapped: "mapped", wire.MsgMappedAck: "mapped ack",
		wire.MsgCommit: "commit", wire.MsgMapping: "mapping"}
	hit := map[uint8]bool{}
	for kind, name := range names {
		for nth := 1; nth <= 3; nth++ {
			for _, copies := range []int{0, 2} {
				for port := uint16(41000); port < 41006; port++ {
					c := newCluster(t, 3, 4, nil)
					seen := 0
					c.filter = func(f *frame) int {
						if f.msg.Type == kind {
							if seen++; copies == 0 && seen <= nth || copies == 2 && seen == nth {
								hit[kind] = true
								return copies
							}
						}
						return 1
					}
					k := testKey(port, port&1 == 0)
					what := fmt.Sprintf("%s, copies up to %d delivered %d times, port %d", name, nth, copies, port)
					if !c.connect(k, 0, 1, "hello") {
						t.Errorf("%s: not connected", what)
						continue
					}
					if n := len(c.owners(k)); n != 1 {
						t.Errorf("%s: %d servers own the connection", what, n)
					}
				}
			}
		}
	}
	for kind, name := range names {
		if !hit[kind] {
			t.Errorf("no %s message was ever sent", name)
		}
	}
}

func TestRejectedOffersGoToOtherServersInTurn(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	c.decide = func(s *testServer, m *wire.Tracker) uint8 {
		if m.Offer < 3 {
			return wire.RejectCPU
		}
		return wire.RejectNone
	}
	k := testKey(42000, false)
	if !c.connect(k, 0, 1, "hello") {
		t.Fatal("not connected")
	}
	var asked []uint16
	for _, s := range c.servers {
		for range s.offers {
			asked = append(asked, s.number)
		}
	}
	if len(asked) != 4 {
		t.Errorf("offers went to %v, want each server once", asked)
	}
}

func TestOffersEndAtTheTTLAndTheClientIsReset(t *testing.T) {
	for _, nodes := range []int{1, 3} {
		for _, lost := range []bool{false, true} {
			c := newCluster(t, nodes, 4, nil)
			c.decide = func(*testServer, *wire.Tracker) uint8 { return wire.RejectDraining }
			drop := map[uint8]bool{wire.MsgReject: lost, wire.MsgRejected: lost, wire.MsgChoice: lost}
			c.filter = func(f *frame) int {
				if drop[f.msg.Type] {
					drop[f.msg.Type] = false
					return 0
				}
				return 1
			}
			k := testKey(42001, false)
			if c.connect(k, 0, nodes-1, "hello") {
				t.Fatal("connected although every server rejects")
			}
			distinct := map[uint8]bool{}
			for _, s := range c.servers {
				for _, m := range s.offers {
					distinct[m.Offer] = true
				}
			}
			if len(distinct) != 4 {
				t.Errorf("%d nodes, loss %v: %d offers, TTL is 4", nodes, lost, len(distinct))
			}
			resets := 0
			for _, in := range c.client {
				if in.TCPFlags&packet.RST != 0 {
					resets++
				}
			}
			if resets == 0 {
				t.Errorf("%d nodes, loss %v: the client was not reset", nodes, lost)
			}
		}
	}
}

func TestSilentServerIsPassedOver(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	k := testKey(42002, false)
	for _, s := range c.servers {
		s.silent = s.number == 0
	}
	for port := uint16(42100); port < 42110; port++ {
		c.client = nil
		k = testKey(port, false)
		if !c.connect(k, 0, 1, "hello") {
			t.Fatalf("port %d: not connected", port)
		}
	}
}

func TestCookieAloneSufficesWhenNoStateIsKept(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		c := newCluster(t, 3, 4, nil)
		k := testKey(43000, v6)
		for _, n := range c.nodes {
			n.w.busyTill = 1 << 62 // as after MsgSynBusy
		}
		if !c.connect(k, 0, 1, "hello") {
			t.Fatal("not connected")
		}
		if c.count(CookieVerified) == 0 || c.count(CookieAnswered) == 0 {
			t.Error("the way without state was not taken")
		}
	}
}

func TestFullHalfOpenTableAnswersCookiesAndInsertsNothing(t *testing.T) {
	c := newCluster(t, 3, 4, nil)
	o := clientOptions
	for i := range 3000 {
		k := testKey(uint16(10000+i), false)
		c.fromClient(i%3, k, packet.TCPSpec{Seq: uint32(i), Flags: packet.SYN, Window: 64240, Options: &o})
	}
	for _, n := range c.nodes {
		if u := n.w.Usage(); u.HalfOpen > u.HalfOpenCapacity {
			t.Errorf("%d half-open flows, bound %d", u.HalfOpen, u.HalfOpenCapacity)
		}
	}
	if len(c.client) < 3000 {
		t.Errorf("%d of 3000 SYNs were answered", len(c.client))
	}
	c.client = nil
	k := testKey(55555, false)
	if !c.connect(k, 0, 1, "hello") {
		t.Error("a legitimate client cannot connect under the flood")
	}
}

func TestSpoofedSynOnALiveFlowDoesNoHarmAndATrueReuseConnects(t *testing.T) {
	for port := uint16(44000); port < 44020; port++ {
		c := newCluster(t, 3, 4, nil)
		k := testKey(port, false)
		if !c.connect(k, 0, 1, "hello") {
			t.Fatal("not connected")
		}
		owner := c.owners(k)[0]
		first := owner.accepted[k]
		o := clientOptions
		for node := range 3 {
			c.fromClient(node, k, packet.TCPSpec{Seq: 999_000, Flags: packet.SYN, Window: 64240, Options: &o})
		}
		before := len(owner.data)
		for node := range 3 {
			c.fromClient(node, k, packet.TCPSpec{Seq: clientISN + 6, Ack: first.ServerISN + 100, Flags: packet.ACK, Window: 502, Payload: []byte("more")})
			c.advance(50)
		}
		if got := len(owner.data) - before; got != 3 {
			t.Fatalf("port %d: %d of 3 packets of the live flow arrived after a spoofed SYN", port, got)
		}
		// The client itself reuses the port.
		sa := c.lastSynAck()
		echo := packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSval: 1001, TSecr: tsvalOf(c, sa)}
		// The SYN/ACK above was answered long ago by the clock's standards; take its own time.
		c.client = nil
		c.fromClient(0, k, packet.TCPSpec{Seq: 999_000, Flags: packet.SYN, Window: 64240, Options: &o})
		sa = c.lastSynAck()
		echo.TSecr = tsvalOf(c, sa)
		c.fromClient(1, k, packet.TCPSpec{Seq: 999_001, Ack: sa.Seq + 1, Flags: packet.ACK, Window: 502, Options: &echo, Payload: []byte("again")})
		c.advance(300)
		reused := false
		for _, s := range c.servers {
			if m, ok := s.accepted[k]; ok && m.ClientISN == 999_000 && s.commits[k] > 0 {
				for _, in := range s.data {
					reused = reused || in.Seq == 999_001
				}
			}
		}
		if !reused {
			t.Errorf("port %d: the reused port did not connect", port)
		}
	}
}
