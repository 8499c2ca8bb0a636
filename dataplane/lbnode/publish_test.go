package lbnode

import (
	"testing"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// published is the server's word that it has a connection.
func (s *testServer) publication(k flow.Key, ingress uint16) wire.Publication {
	m := s.accepted[k]
	return wire.Publication{Key: k, ClientISN: m.ClientISN, ServerISN: m.ServerISN, Server: s.number, Ingress: ingress}
}

// publish sends publications of a server to a node.
func (s *testServer) publish(to int, list ...wire.Publication) {
	var w wire.Publications
	for i := range list {
		w.Add(&list[i])
	}
	s.seq++
	n := s.c.nodes[to]
	s.c.toSlow(n, n.cfg.Servers[s.number].Address.As4(), wire.PortPublish, s.sealed(&w, n))
}

// sealed is a datagram of publications to a node.
func (s *testServer) sealed(w *wire.Publications, to *testNode) []byte {
	d := append([]byte(nil), w.Datagram()...)
	key := testSecrets.Control[0]
	wire.Seal(d, &wire.Header{Type: wire.MsgPublish, Role: wire.RoleServer, Sender: s.number, Boot: 1, Seq: s.seq, KeyID: key.ID},
		wire.PairKey(key.Key, wire.Peer{Role: wire.RoleServer, Number: s.number, Boot: 1}, wire.Peer{Role: wire.RoleNode, Number: to.number, Boot: to.cfg.Boot}))
	return d
}

// toSlow brings a datagram to a node's fabric side.
func (c *cluster) toSlow(n *testNode, src [4]byte, port uint16, d []byte) {
	b := c.newBuf()
	b.Resize(2000 - 300)
	spec := packet.UDPSpec{SrcPort: port, DstPort: port, Payload: d}
	spec.Src, spec.Dst = [16]byte{10: 0xff, 11: 0xff, 12: src[0], 13: src[1], 14: src[2], 15: src[3]}, n.cfg.Nodes[n.number].South.As16()
	b.Resize(uint16(packet.BuildUDP(b.Bytes(), &spec)))
	b.Port = packet.South
	n.burst(b)
	c.settle()
}

// forget empties a node's tables, as a restart does.
func (n *testNode) forget() {
	for _, t := range []*flow.Table{n.w.mapped, n.w.tracked, n.w.half} {
		t.Clear()
	}
}

// slowCount sums a counter of the slow workers.
func (c *cluster) slowCount(which Counter) (n uint64) {
	for _, node := range c.nodes {
		n += node.slow.Counters().Load(which)
	}
	return n
}

func (n *testNode) has(t *flow.Table, k flow.Key) *flow.Entry {
	if i, ok := t.Lookup(&k, n.w.hash(&k)); ok {
		return t.Entry(i)
	}
	return nil
}

func TestPublicationsAloneRestoreMappingsAfterAllNodesLostTheirState(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for receiver := range 5 {
			c := newCluster(t, 5, 3, nil)
			k := testKey(40000, v6)
			const ingress = 2
			if !c.connect(k, ingress, ingress, "hello") {
				t.Fatal("not connected")
			}
			owner := c.owners(k)[0]
			for _, n := range c.nodes {
				n.forget()
			}
			owner.publish(receiver, owner.publication(k, ingress))
			c.advance(10)
			p, s := c.nodes[0].w.view.ring.Trackers(&k)
			for _, n := range c.nodes {
				if tracks := n.number == p || n.number == s; (n.has(n.w.tracked, k) != nil) != tracks {
					t.Errorf("published to node %d: node %d, a tracker: %v, has state: %v", receiver, n.number, tracks, !tracks)
				}
				if is := n.number == ingress; (n.has(n.w.mapped, k) != nil) != is {
					t.Errorf("published to node %d: node %d, the ingress: %v, has the mapping: %v", receiver, n.number, is, !is)
				}
			}
			if f := c.nodes[p].has(c.nodes[p].w.tracked, k); f == nil || f.Flags&flagPrimary == 0 {
				t.Error("the primary does not know that it is")
			}
			told := len(c.client)
			// Whatever node the router chooses now, the flow reaches its server.
			for node := range 5 {
				before := len(owner.data)
				c.ack(k, node, "again")
				c.advance(50)
				if len(owner.data) != before+1 {
					t.Errorf("published to node %d: a packet through node %d does not arrive", receiver, node)
				}
			}
			if len(c.client) > told {
				t.Errorf("the client got %d segments", len(c.client)-told)
			}
		}
	}
}

func TestAPublicationReleasesThePacketsThatWaitForIt(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
	for _, n := range c.nodes {
		n.forget()
	}
	c.filter = func(f *frame) int { // no tracker answers
		if f.msg.Type == wire.MsgQuery || f.msg.Type == wire.MsgUnknown {
			return 0
		}
		return 1
	}
	owner := c.servers[0]
	before := len(owner.data)
	c.ack(k, 1, "waiting")
	owner.publish(2, owner.publication(k, 0)) // the module's last word is of another ingress
	c.advance(30)
	p, s := c.nodes[0].w.view.ring.Trackers(&k)
	if tracker := p == 1 || s == 1; tracker && len(owner.data) != before+1 {
		t.Error("a tracker that holds packets of a flow does not take the publication for an answer")
	}
	owner.publish(2, owner.publication(k, 1))
	c.advance(30)
	if len(owner.data) != before+1 {
		t.Errorf("%d packets arrive, want the one that waited", len(owner.data)-before)
	}
}

func TestWhatCameFromANodeIsNotForwardedAgain(t *testing.T) {
	c := newCluster(t, 5, 1, nil)
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
	published := 0
	c.filter = func(f *frame) int {
		var in packet.Info
		if packet.Parse(f.buf.Bytes(), &in) == packet.OK && in.DstPort == wire.PortPublished {
			published++
		}
		return 1
	}
	owner := c.servers[0]
	owner.publish(4, owner.publication(k, 0))
	// The receivers' rings differ by now: none may pass the entry on.
	for _, n := range c.nodes[:4] {
		n.cfg.Nodes[0].Tracker = false
		if err := n.cfg.Prepare(); err != nil {
			t.Fatal(err)
		}
		n.w.SetConfig(n.cfg)
		n.slow.SetConfig(n.cfg)
	}
	c.advance(100)
	if forwarded := int(c.slowCount(PublicationsForwarded)); published == 0 || published != forwarded || published > 3 {
		t.Errorf("%d datagrams between nodes, %d entries forwarded", published, forwarded)
	}
}

func TestPublicationsRenewLeases(t *testing.T) {
	c := newCluster(t, 3, 1, nil)
	k := testKey(40000, false)
	if !c.connect(k, 0, 0, "hello") {
		t.Fatal("not connected")
	}
	c.advance(5000)
	owner := c.servers[0]
	owner.publish(1, owner.publication(k, 0))
	c.advance(10)
	p, s := c.nodes[0].w.view.ring.Trackers(&k)
	for what, e := range map[string]*flow.Entry{
		"ingress": c.nodes[0].has(c.nodes[0].w.mapped, k), "primary": c.nodes[p].has(c.nodes[p].w.tracked, k),
		"secondary": c.nodes[s].has(c.nodes[s].w.tracked, k),
	} {
		if e == nil || c.nodes[0].w.tick32()-e.Renewed > 1 {
			t.Errorf("%s: not renewed: %+v", what, e)
		}
	}
	if c.count(LeasesRenewed) != 3 || c.count(MappingsRestored)+c.count(TrackedRestored) != 0 {
		t.Errorf("%d renewed, %d restored", c.count(LeasesRenewed), c.count(MappingsRestored)+c.count(TrackedRestored))
	}
	if at := c.nodes[1].slow.ServerSeen(0); at != uint32(c.now/int64(Tick)) {
		t.Errorf("the server was last heard in tick %d", at)
	}
}

func TestALatePublicationDoesNotReplaceALiveIncarnation(t *testing.T) {
	for name, tc := range map[string]struct {
		wait     int // ms since the entry was renewed
		closing  bool
		replaced bool
	}{
		"just renewed":                      {100, false, false},
		"long ago":                          {5000, false, true},
		"long ago, but the other is ending": {5000, true, false},
	} {
		c := newCluster(t, 3, 2, nil)
		k := testKey(40000, false)
		if !c.connect(k, 0, 0, "hello") {
			t.Fatal("not connected")
		}
		owner := c.owners(k)[0]
		owner.publish(1, owner.publication(k, 0))
		c.advance(tc.wait)
		other := c.servers[1-owner.number]
		p := wire.Publication{Key: k, ClientISN: 5, ServerISN: 6, Server: other.number, Closing: tc.closing}
		other.publish(1, p)
		c.advance(20)
		first, _ := c.nodes[0].w.view.ring.Trackers(&k)
		for what, e := range map[string]*flow.Entry{"ingress": c.nodes[0].has(c.nodes[0].w.mapped, k),
			"primary": c.nodes[first].has(c.nodes[first].w.tracked, k)} {
			if e == nil || (e.Server == other.number) != tc.replaced {
				t.Errorf("%s: %s has %+v", name, what, e)
			}
		}
	}
}

// A server may be left with the socket of an offer that another one won, and
// publish it for ever: it must not take the tuple from the one that the client
// speaks to, whichever of them a tracker hears first.
func TestOfTwoServersThatPublishATupleTheOneThatHeardTheClientHasIt(t *testing.T) {
	for name, realFirst := range map[string]bool{"the real one first": true, "the other one first": false} {
		c := newCluster(t, 3, 2, nil)
		k := testKey(40000, false)
		publish := func(heard bool) {
			p := wire.Publication{Key: k, ClientISN: 5, ServerISN: 6, Server: 0}
			if heard {
				p = wire.Publication{Key: k, ClientISN: 7, ServerISN: 8, Server: 1, Heard: true}
			}
			c.servers[p.Server].publish(1, p)
			c.advance(20)
		}
		for range 10 {
			publish(realFirst)
			publish(!realFirst)
			c.advance(1000)
		}
		first, second := c.nodes[0].w.view.ring.Trackers(&k)
		for what, e := range map[string]*flow.Entry{"ingress": c.nodes[0].has(c.nodes[0].w.mapped, k),
			"primary": c.nodes[first].has(c.nodes[first].w.tracked, k), "secondary": c.nodes[second].has(c.nodes[second].w.tracked, k)} {
			if e == nil || e.Server != 1 {
				t.Errorf("%s: %s has %+v", name, what, e)
			}
		}
	}
}

func TestForgedAndRepeatedPublicationsChangeNothing(t *testing.T) {
	c := newCluster(t, 2, 2, nil)
	n, s := c.nodes[0], c.servers[0]
	address, stranger := n.cfg.Servers[0].Address.As4(), [4]byte{10, 20, 0, 99}
	k := testKey(40000, false)
	var w wire.Publications
	w.Add(&wire.Publication{Key: k, ClientISN: 1, ServerISN: 2, Server: 0, Ingress: 0})
	s.seq = 7
	good := s.sealed(&w, n)
	change := func(at int) []byte {
		d := append([]byte(nil), good...)
		d[at] ^= 1
		return d
	}
	var foreign wire.Publications
	foreign.Add(&wire.Publication{Key: k, ClientISN: 1, ServerISN: 2, Server: 1, Ingress: 0})
	s.seq = 8
	forOther := s.sealed(&foreign, n)
	private := k
	private.VIPPort = 22
	var ssh wire.Publications
	ssh.Add(&wire.Publication{Key: private, ClientISN: 1, ServerISN: 2, Server: 0, Ingress: 0})
	s.seq = 9
	ofSSH := s.sealed(&ssh, n)
	toOther := s.sealed(&w, c.nodes[1])
	for _, tc := range []struct {
		what string
		src  [4]byte
		port uint16
		d    []byte
		want Counter
	}{
		{"a flipped bit in the entries", address, wire.PortPublish, change(60), DropBadTag},
		{"another boot", address, wire.PortPublish, change(15), DropStaleBoot},
		{"another sender", address, wire.PortPublish, change(3), DropStranger},
		{"another type", address, wire.PortPublish, change(1), DropBadMessage},
		{"another key", address, wire.PortPublish, change(31), DropBadTag},
		{"the wrong port", address, wire.PortPublished, good, DropBadMessage},
		{"another address", stranger, wire.PortPublish, good, DropStranger},
		{"cut off", address, wire.PortPublish, good[:50], DropBadMessage},
		{"sealed for another node", address, wire.PortPublish, toOther, DropBadTag},
		{"about another server", address, wire.PortPublish, forOther, DropBadMessage},
		{"about no endpoint of the server", address, wire.PortPublish, ofSSH, DropNotPublic},
	} {
		before := n.slow.Counters().Load(tc.want)
		c.toSlow(n, tc.src, tc.port, tc.d)
		if n.slow.Counters().Load(tc.want) != before+1 {
			t.Errorf("%s: not counted as %v", tc.what, tc.want)
		}
		if n.w.mapped.Len()+n.w.tracked.Len() != 0 {
			t.Fatalf("%s: is taken", tc.what)
		}
	}
	for i := range 3 {
		c.toSlow(n, address, wire.PortPublish, good)
		if got := n.slow.Counters().Load(DropReplayed); got != uint64(i) {
			t.Errorf("after %d times the same datagram %d are counted as replayed", i+1, got)
		}
	}
	if n.w.mapped.Len() != 1 {
		t.Error("the true one is not taken")
	}
}

func TestManyPublicationsOfManyWorkersAreSplitWithoutAllocation(t *testing.T) {
	c := newCluster(t, 4, 1, nil)
	n := c.nodes[0]
	handed := map[int]int{}
	io := &countingIO{testNode: n, handed: handed, frame: c.newBuf()}
	n.slow = NewSlow(io, 3)
	n.slow.SetConfig(n.cfg)
	var w wire.Publications
	for port := uint16(1); ; port++ {
		if !w.Add(&wire.Publication{Key: testKey(port, false), Server: 0, Ingress: 0}) {
			break
		}
	}
	s := c.servers[0]
	s.seq++
	c.toSlow(n, n.cfg.Servers[0].Address.As4(), wire.PortPublish, s.sealed(&w, n))
	total := 0
	for _, entries := range handed {
		total += entries
	}
	if len(handed) != 3 || total != wire.MaxPublications {
		t.Errorf("workers got %v entries, want %d in all", handed, wire.MaxPublications)
	}
	r, err := wire.ReadPublications(s.sealed(&w, n))
	if err != nil {
		t.Fatal(err)
	}
	if allocs := testing.AllocsPerRun(100, func() {
		again := r
		n.slow.split(c.now, &wire.Header{Role: wire.RoleServer}, &again)
		n.slow.Tick(c.now + 1e9)
	}); allocs > 0 {
		t.Errorf("%v allocations per datagram", allocs)
	}
}

// countingIO counts the entries that each worker is handed, and sends nothing.
type countingIO struct {
	*testNode
	frame  packet.Buf
	handed map[int]int
}

func (io *countingIO) Alloc() (packet.Buf, bool) { return io.frame, true }

func (io *countingIO) Send(packet.Buf) {}
func (io *countingIO) Hand(worker int, b packet.Buf) {
	r, err := wire.ReadPublications(b.Bytes())
	if err != nil {
		io.c.t.Error(err)
	}
	var p wire.Publication
	for r.Next(&p) {
		io.handed[worker]++
	}
}

// What a lone node spends on one connection's publication: opening, splitting,
// handing over, renewing both entries.
func BenchmarkPublication(b *testing.B) {
	t := &testing.T{}
	c := newCluster(t, 1, 1, nil)
	n, s := c.nodes[0], c.servers[0]
	var w wire.Publications
	for port := uint16(1); ; port++ {
		if !w.Add(&wire.Publication{Key: testKey(port, false), Server: 0, Ingress: 0}) {
			break
		}
	}
	r, err := wire.ReadPublications(s.sealed(&w, n))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		again := r
		n.slow.split(c.now, &wire.Header{Role: wire.RoleServer}, &again)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/wire.MaxPublications, "ns/entry")
}
