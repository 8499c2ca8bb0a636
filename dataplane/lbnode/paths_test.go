package lbnode

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// fromServer builds what a module sends for a flow: encapsulated, from the
// given fabric address.
func (c *cluster) fromServer(node int, src netip.Addr, k flow.Key, payload string) packet.Buf {
	cfg := c.nodes[node].cfg
	b := c.newBuf()
	b.Resize(1600)
	b.Resize(uint16(packet.BuildTCP(b.Bytes(), &packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.VIP, Dst: k.Client},
		SrcPort: k.VIPPort, DstPort: k.ClientPort, Seq: 1, Ack: 1, Flags: packet.ACK, Payload: []byte(payload)})))
	t, err := packet.NewEncapTarget(cfg.Nodes[node].MAC, MAC{2, 1, 1, 1, 1, 1}, cfg.Nodes[node].South, src)
	if err != nil {
		c.t.Fatal(err)
	}
	if st := packet.Encapsulate(&b, &t, 50000); st != packet.OK {
		c.t.Fatal(st)
	}
	b.Port = packet.South
	return b
}

func TestEgressForwardsOnlyRegisteredServersAndTheirPublicAddresses(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		public, private := testKey(40000, v6), testKey(40000, v6)
		private.VIPPort = 22
		for name, tc := range map[string]struct {
			src  netip.Addr
			k    flow.Key
			want Counter
		}{
			"a server's packet":                   {netip.MustParseAddr("10.20.0.101"), public, EgressForwarded},
			"a stranger's packet":                 {netip.MustParseAddr("10.20.0.66"), public, DropStranger},
			"a server's from a closed port":       {netip.MustParseAddr("10.20.0.101"), private, DropNotPublic},
			"a node's packet, which is no server": {netip.MustParseAddr("10.20.0.12"), public, DropStranger},
		} {
			c := newCluster(t, 3, 2, nil)
			c.nodes[0].burst(c.fromServer(0, tc.src, tc.k, "hello"))
			c.settle()
			if c.count(tc.want) != 1 {
				t.Errorf("%s (v6: %v): not counted as %v", name, v6, tc.want)
			}
			if got := len(c.client); (tc.want == EgressForwarded) != (got == 1) {
				t.Errorf("%s (v6: %v): %d packets reached the client", name, v6, got)
			}
		}
	}
}

func TestClosedPortOfAPublicAddressIsResetAtOnce(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		c := newCluster(t, 3, 2, nil)
		k := testKey(40000, v6)
		k.VIPPort = 81
		c.fromClient(0, k, packet.TCPSpec{Seq: 77, Flags: packet.SYN, Window: 64240})
		if len(c.client) != 1 || c.client[0].TCPFlags != packet.RST|packet.ACK || c.client[0].Ack != 78 {
			t.Errorf("v6 %v: the client got %+v", v6, c.client)
		}
	}
}

func TestAddressThatIsNotServedGetsNoAnswer(t *testing.T) {
	c := newCluster(t, 1, 1, nil)
	k := flow.MakeKey(netip.MustParseAddrPort("198.51.100.10:4000"), netip.MustParseAddrPort("203.0.113.99:80"), 6)
	c.fromClient(0, k, packet.TCPSpec{Seq: 77, Flags: packet.SYN})
	if len(c.client) != 0 || c.count(DropNotServed) != 1 {
		t.Errorf("%d answers, %d counted", len(c.client), c.count(DropNotServed))
	}
}

func TestUnknownFlowIsResetOnceBothTrackersDenyIt(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	k := testKey(40000, false)
	c.fromClient(2, k, packet.TCPSpec{Seq: 77, Ack: 99, Flags: packet.ACK, Payload: []byte("x")})
	if len(c.client) != 1 || c.client[0].TCPFlags != packet.RST || c.client[0].Seq != 99 {
		t.Errorf("the client got %+v", c.client)
	}
	if u := c.nodes[2].w.Usage(); u.Pending != 0 || u.Held != 0 {
		t.Errorf("left behind: %+v", u)
	}
}

func TestDataBeforeTheMappingIsHeldInOrderUpToTheBounds(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	release := false
	c.filter = func(f *frame) int {
		if f.msg.Type == wire.MsgOffer && !release {
			return 0
		}
		return 1
	}
	k := testKey(40000, false)
	o := clientOptions
	c.fromClient(0, k, packet.TCPSpec{Seq: clientISN, Flags: packet.SYN, Options: &o})
	sa := c.lastSynAck()
	if sa.Window == 0 || uint32(sa.Window) > c.nodes[0].cfg.HoldBytes {
		t.Fatalf("the SYN/ACK gives a window of %d, an ingress holds %d", sa.Window, c.nodes[0].cfg.HoldBytes)
	}
	for i := range 16 {
		c.fromClient(1, k, packet.TCPSpec{Seq: clientISN + 1 + uint32(i)*1000, Ack: sa.Seq + 1, Flags: packet.ACK,
			Options: &packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSecr: tsvalOf(c, sa)}, Payload: make([]byte, 1000)})
	}
	if c.count(DropHoldFull) != 0 {
		t.Errorf("%d packets were lost below the bounds", c.count(DropHoldFull))
	}
	c.fromClient(1, k, packet.TCPSpec{Seq: clientISN + 1 + 16000, Ack: sa.Seq + 1, Flags: packet.ACK, Payload: make([]byte, 1000)})
	if c.count(DropHoldFull) != 1 {
		t.Error("the bound on held packets does not hold")
	}
	release = true
	c.advance(500)
	owner := c.owners(k)
	if len(owner) != 1 || len(owner[0].data) != 16 {
		t.Fatalf("%d owners; the server got %d packets", len(owner), len(owner[0].data))
	}
	for i, in := range owner[0].data {
		if in.Seq != clientISN+1+uint32(i)*1000 {
			t.Fatalf("packet %d has sequence %d", i, in.Seq)
		}
	}
}

func TestModuleThatDoesNotOwnAFlowMakesEveryNodeForgetIt(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	k := testKey(40000, false)
	if !c.connect(k, 0, 1, "hello") {
		t.Fatal("not connected")
	}
	owner := c.owners(k)[0]
	delete(owner.accepted, k)
	c.sendNotHere(owner, 1, k)
	c.settle()
	for _, n := range c.nodes {
		if tr := n.w.Trace(&k); tr.Ingress || tr.Tracked {
			t.Errorf("node %d still holds %+v", n.number, tr)
		}
	}
}

func (c *cluster) sendNotHere(s *testServer, node uint16, k flow.Key) {
	s.send(node, NoNode, wire.Tracker{Header: wire.Header{Type: wire.MsgNotHere}, Key: k})
}

func TestControlMessagesOfStrangersChangeNothing(t *testing.T) {
	c := newCluster(t, 3, 2, nil)
	k := testKey(40000, false)
	m := wire.Tracker{Header: wire.Header{Type: wire.MsgMapping, Role: wire.RoleNode, Sender: 1, KeyID: 1}, Key: k, Server: 1}
	send := func(src netip.Addr, key wire.Key, spoil func([]byte)) {
		cfg := c.nodes[0].cfg
		target, _ := packet.NewEncapTarget(cfg.Nodes[0].MAC, MAC{2, 1, 1, 1, 1, 1}, cfg.Nodes[0].South, src)
		b := c.newBuf()
		b.Resize(wire.TrackerSize)
		wire.PutTracker(b.Bytes(), &m, key)
		if spoil != nil {
			spoil(b.Bytes())
		}
		packet.PrependUDP(&b, &target, 50000, wire.PortTracker)
		b.Port = packet.South
		c.nodes[0].burst(b)
	}
	node1 := c.nodes[0].cfg.Nodes[1].South
	send(node1, wire.Key{K0: 9}, nil)
	send(node1, c.messageKey(&m.Header), func(d []byte) { d[90] ^= 1 })
	send(netip.MustParseAddr("10.20.0.66"), c.messageKey(&m.Header), nil)
	send(node1, c.messageKey(&m.Header), func(d []byte) { d[0] = 9 })
	send(node1, c.messageKey(&m.Header), func(d []byte) { d[7] = 3 })
	if c.count(DropBadTag) != 2 || c.count(DropStranger) != 1 || c.count(DropBadMessage) != 2 {
		t.Errorf("bad tag %d, stranger %d, bad message %d", c.count(DropBadTag), c.count(DropStranger), c.count(DropBadMessage))
	}
	if tr := c.nodes[0].w.Trace(&k); tr.Ingress || tr.Tracked {
		t.Error("a stranger made a mapping")
	}
}

// Garbage of every kind into every entry: random frames, and good frames with
// bytes changed, cut or grown. Everything ends in a verdict; nothing panics.
func TestGarbageIsCountedAndNothingCrashes(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	c := newCluster(t, 3, 2, nil)
	c.filter = func(*frame) int { return 0 }
	sequence := uint64(0)
	good := func() packet.Buf {
		k := testKey(uint16(r.IntN(65536)), r.IntN(2) == 0)
		switch r.IntN(3) {
		case 0:
			b := c.newBuf()
			b.Resize(1600)
			o := clientOptions
			b.Resize(uint16(packet.BuildTCP(b.Bytes(), &packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.Client, Dst: k.VIP}, SrcPort: k.ClientPort,
				DstPort: k.VIPPort, Flags: uint8(r.Uint32()), Seq: r.Uint32(), Ack: r.Uint32(), Options: &o, Payload: make([]byte, r.IntN(100))})))
			return b
		case 1:
			return c.fromServer(0, netip.MustParseAddr("10.20.0.101"), k, "hello")
		}
		b := c.newBuf()
		b.Resize(wire.TrackerSize)
		m := wire.Tracker{Header: wire.Header{Type: uint8(r.IntN(20)), Role: uint8(r.IntN(2)), Sender: uint16(r.IntN(4)), KeyID: 1}, Key: k,
			Server: uint16(r.IntN(3)), Ingress: uint16(r.IntN(4)), Primary: uint16(r.IntN(4)), Secondary: uint16(r.IntN(4)), Offer: uint8(r.IntN(5)), TTL: uint8(r.IntN(3))}
		sequence++
		m.Header.Seq = sequence
		wire.PutTracker(b.Bytes(), &m, c.messageKey(&m.Header))
		cfg := c.nodes[0].cfg
		src := netip.AddrFrom4([4]byte{10, 20, 0, byte([]int{11, 12, 13, 101, 102}[r.IntN(5)])})
		target, _ := packet.NewEncapTarget(cfg.Nodes[0].MAC, MAC{2, 1, 1, 1, 1, 1}, cfg.Nodes[0].South, src)
		packet.PrependUDP(&b, &target, 50000, wire.PortTracker)
		return b
	}
	steering, slow := NewSteering(c.nodes[0].cfg, 4), NewSlow(nil, 0)
	slow.SetConfig(c.nodes[0].cfg)
	for range 60000 {
		b := good()
		frame := b.Bytes()
		for range r.IntN(4) {
			frame[r.IntN(len(frame))] = byte(r.Uint32())
		}
		switch r.IntN(6) {
		case 0:
			b.Resize(uint16(r.IntN(len(frame) + 1)))
		case 1:
			b.Resize(min(b.Len+uint16(r.IntN(60)), 1700))
		case 2:
			if len(frame) > 40 {
				binary.BigEndian.PutUint16(frame[16:], uint16(r.Uint32()))
			}
		}
		b.Port = packet.Port(r.IntN(2))
		steering.Steer(&b)
		copied := b
		slow.Burst(c.now, []packet.Buf{copied})
		c.nodes[0].burst(b)
		c.now += 1e5
		c.nodes[0].w.Tick(c.now)
	}
	if u := c.nodes[0].w.Usage(); u.Held > 256 || u.HalfOpen > u.HalfOpenCapacity {
		t.Errorf("bounds are broken: %+v", u)
	}
}

func TestEveryFormOfAFlowIsSteeredToItsWorker(t *testing.T) {
	c := newCluster(t, 2, 2, func(cfg *Config) {
		cfg.Addresses = [packet.NumPorts][]netip.Addr{{netip.MustParseAddr("10.10.0.11")}, {netip.MustParseAddr("10.20.0.11")}}
	})
	s := NewSteering(c.nodes[0].cfg, 4)
	used := map[int]bool{}
	for port := uint16(40000); port < 40100; port++ {
		for _, v6 := range []bool{false, true} {
			k := testKey(port, v6)
			bare := c.newBuf()
			bare.Resize(1600)
			bare.Resize(uint16(packet.BuildTCP(bare.Bytes(), &packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.Client, Dst: k.VIP}, SrcPort: k.ClientPort, DstPort: k.VIPPort, Flags: packet.ACK})))
			tunnel := c.fromServer(0, netip.MustParseAddr("10.20.0.101"), k, "hello")
			message := c.newBuf()
			message.Resize(wire.TrackerSize)
			wire.PutTracker(message.Bytes(), &wire.Tracker{Header: wire.Header{Type: wire.MsgQuery, KeyID: 1}, Key: k}, testSecrets.Control[0].Key)
			target, _ := packet.NewEncapTarget(c.nodes[0].cfg.Nodes[0].MAC, MAC{}, c.nodes[0].cfg.Nodes[0].South, c.nodes[0].cfg.Nodes[1].South)
			packet.PrependUDP(&message, &target, 50000, wire.PortTracker)
			message.Port = packet.South
			a, b, d := s.Steer(&bare), s.Steer(&tunnel), s.Steer(&message)
			if a != b || a != d || a < 0 {
				t.Fatalf("%v: bare to %d, encapsulated to %d, message to %d", k, a, b, d)
			}
			used[a] = true
		}
	}
	if len(used) != 4 {
		t.Errorf("only workers %v got anything", used)
	}
	own := c.newBuf()
	own.Resize(1600)
	own.Resize(uint16(packet.BuildTCP(own.Bytes(), &packet.TCPSpec{IPSpec: packet.IPSpec{Src: netip.MustParseAddr("10.10.0.1").As16(), Dst: netip.MustParseAddr("10.10.0.11").As16()}, SrcPort: 179, DstPort: 40000, Flags: packet.ACK})))
	if s.Steer(&own) != SlowWorker {
		t.Error("the node's own BGP is not the slow worker's")
	}
	slow := NewSlow(nil, 0)
	slow.SetConfig(c.nodes[0].cfg)
	one := []packet.Buf{own}
	if slow.Burst(0, one); one[0].Verdict != packet.Kernel {
		t.Error("the node's own BGP does not reach the kernel")
	}
}

func TestEstablishedForwardingAllocatesNothing(t *testing.T) {
	c := newCluster(t, 1, 1, nil)
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
	b := c.newBuf()
	b.Resize(1600)
	b.Resize(uint16(packet.BuildTCP(b.Bytes(), &packet.TCPSpec{IPSpec: packet.IPSpec{Src: k.Client, Dst: k.VIP}, SrcPort: k.ClientPort, DstPort: k.VIPPort, Flags: packet.ACK})))
	reply := c.fromServer(0, c.nodes[0].cfg.Servers[0].Address, k, "hello")
	bufs := make([]packet.Buf, 2)
	frames := [2][]byte{append([]byte(nil), b.Bytes()...), append([]byte(nil), reply.Bytes()...)}
	if n := testing.AllocsPerRun(100, func() {
		bufs[0], bufs[1] = b, reply
		copy(bufs[0].Bytes(), frames[0])
		copy(bufs[1].Bytes(), frames[1])
		c.nodes[0].w.Burst(c.now, bufs)
	}); n != 0 || bufs[0].Verdict != packet.Send || bufs[1].Verdict != packet.Send {
		t.Errorf("%v allocations, verdicts %v %v", n, bufs[0].Verdict, bufs[1].Verdict)
	}
}
