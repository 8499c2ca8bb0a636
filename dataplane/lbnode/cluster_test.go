package lbnode

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// cluster is a few nodes of one worker each and servers whose modules are
// scripted here. Frames are delivered in the order they were sent, each unless
// the test's filter says otherwise.
type cluster struct {
	dead    map[uint16]bool
	t       *testing.T
	now     int64
	nodes   []*testNode
	servers []*testServer
	wire    []frame            // in flight
	client  []packet.Info      // what arrived at the client
	filter  func(f *frame) int // how many copies to deliver; nil: one
	decide  func(s *testServer, m *wire.Tracker) (reject uint8)
	arena   [][]byte
	taken   int
}

type frame struct {
	from string
	buf  packet.Buf
	msg  wire.Tracker // zero Type: no tracker message
}

type testNode struct {
	c      *cluster
	w      *Worker
	slow   *Slow
	cfg    *Config
	number uint16
}

type testServer struct {
	c        *cluster
	number   uint16
	accepted map[flow.Key]wire.Tracker
	commits  map[flow.Key]int
	offers   []wire.Tracker
	data     []packet.Info // client packets that reached it
	ended    int           // superseded
	seq      uint64
	silent   bool
}

var testSecrets = Secrets{Control: []wire.ControlKey{{ID: 1, Key: wire.Key{K0: 1, K1: 2}}}, Cookie: []wire.Key{{K0: 3, K1: 4}},
	Ring: flow.Seed{5, 6}, Ranking: flow.Seed{7, 8}, Steering: flow.Seed{9, 10}}

var (
	testVIP4 = netip.MustParseAddr("203.0.113.10")
	testVIP6 = netip.MustParseAddr("2001:db8:100::10")
	routerM  = MAC{2, 0, 0, 0, 9, 9}
)

func newCluster(t *testing.T, nodes, servers int, change func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, now: 1e9}
	var base Config
	for n := range nodes {
		base.Nodes = append(base.Nodes, Node{Number: uint16(n), ID: fmt.Sprint("lb", n), Boot: uint64(n) + 77, South: netip.AddrFrom4([4]byte{10, 20, 0, byte(11 + n)}),
			MAC: MAC{2, 0, 0, 0, 1, byte(n)}, Tracker: true, Ingress: true, Egress: true, Seed: uint64(n+1) * 0x9e3779b97f4a7c15})
	}
	e := Endpoint{Name: "web", Addresses: []netip.Addr{testVIP4, testVIP6}, Proto: 6, PortFirst: 80, PortLast: 80, TTL: 4}
	for n := range servers {
		base.Servers = append(base.Servers, Server{Number: uint16(n), ID: fmt.Sprint("srv", n), Boot: 1, Address: netip.AddrFrom4([4]byte{10, 20, 0, byte(101 + n)}),
			MAC: MAC{2, 0, 0, 0, 2, byte(n)}, Weight: 100, Healthy: true, Seed: uint64(n+1) * 0xc2b2ae3d27d4eb4f})
		e.Servers = append(e.Servers, uint16(n))
		c.servers = append(c.servers, &testServer{c: c, number: uint16(n), accepted: map[flow.Key]wire.Tracker{}, commits: map[flow.Key]int{}})
	}
	base.Endpoints = []Endpoint{e}
	base.Secrets, base.FabricMTU, base.WScale, base.HoldBytes, base.HoldPkts = testSecrets, 1500, 7, 16384, 16
	base.Routers, base.Settled = []MAC{routerM}, true
	base.WallNanos = 1_800_000_000e9
	if change != nil {
		change(&base)
	}
	for n := range nodes {
		cfg := base
		cfg.Self, cfg.Boot = uint16(n), uint64(n)+77
		cfg.MACs = [packet.NumPorts]MAC{{2, 0, 0, 0, 0, byte(n)}, base.Nodes[n].MAC}
		if err := cfg.Prepare(); err != nil {
			t.Fatal(err)
		}
		node := &testNode{c: c, number: uint16(n), cfg: &cfg}
		w, err := NewWorker(0, Limits{Flows: 1024, HalfOpen: 256, Held: 256}, node, flow.Seed{uint64(n), 99})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		w.SetConfig(&cfg)
		node.w = w
		node.slow = NewSlow(node, 1)
		node.slow.SetConfig(&cfg)
		c.nodes = append(c.nodes, node)
	}
	return c
}

// newBuf takes frames in turn from an arena, which outlives every frame: more
// than can be in flight or held at any time.
func (c *cluster) newBuf() packet.Buf {
	const frames = 4096
	if len(c.arena) < frames {
		c.arena = append(c.arena, make([]byte, 2048))
	}
	mem := c.arena[c.taken%len(c.arena)]
	if c.taken < frames {
		mem = c.arena[len(c.arena)-1]
	}
	c.taken++
	return packet.Buf{Addr: uintptr(unsafe.Pointer(&mem[256])), Head: 256, Tail: 2048 - 256}
}

// Alloc, Send and Free are the node's IO.
func (n *testNode) Alloc() (packet.Buf, bool) { return n.c.newBuf(), true }
func (n *testNode) Free(packet.Buf)           {}
func (n *testNode) Send(b packet.Buf)         { n.c.put(n.cfg.Nodes[n.number].ID, b) }

// Hand is the way from the slow worker to the fast one.
func (n *testNode) Hand(_ int, b packet.Buf) {
	b.Port = packet.Inside
	n.burst(b)
}

// put takes a frame onto the wire.
func (c *cluster) put(from string, b packet.Buf) {
	f := frame{from: from, buf: b}
	var in packet.Info
	if packet.Parse(b.Bytes(), &in) == packet.OK && in.Proto == packet.ProtoUDP && in.DstPort == wire.PortTracker {
		d := append([]byte(nil), b.Bytes()[in.Payload:in.End]...)
		if err := errors.Join(wire.ReadHeader(d, &f.msg.Header), wire.DecodeTracker(d, &f.msg)); err != nil {
			c.t.Fatalf("%s sent a bad tracker message: %v", from, err)
		}
	}
	copies := 1
	if c.filter != nil {
		copies = c.filter(&f)
	}
	for range copies {
		g := f
		g.buf = c.newBuf()
		g.buf.Port = b.Port
		g.buf.Resize(b.Len)
		copy(g.buf.Bytes(), b.Bytes())
		c.wire = append(c.wire, g)
	}
}

// settle delivers what is in flight until nothing is.
func (c *cluster) settle() {
	for steps := 0; len(c.wire) > 0; steps++ {
		if steps > 100000 {
			c.t.Fatal("messages go on for ever")
		}
		f := c.wire[0]
		c.wire = c.wire[1:]
		c.deliver(f)
	}
}

func (c *cluster) deliver(f frame) {
	mac := MAC(f.buf.Bytes()[:6])
	if f.buf.Port == packet.North {
		if mac != routerM {
			c.t.Fatalf("a frame north goes to %x", mac)
		}
		var in packet.Info
		if st := packet.Parse(f.buf.Bytes(), &in); st != packet.OK || !packet.VerifyTCP(f.buf.Bytes(), &in) {
			c.t.Fatalf("the client got a broken segment: %v", st)
		}
		c.client = append(c.client, in)
		return
	}
	for _, n := range c.nodes {
		if n.cfg.Nodes[n.number].MAC == mac {
			if !c.dead[n.number] {
				n.burst(f.buf)
			}
			return
		}
	}
	for _, s := range c.servers {
		if (MAC{2, 0, 0, 0, 2, byte(s.number)}) == mac {
			s.receive(f)
			return
		}
	}
	c.t.Fatalf("a frame goes to nobody: %x", mac)
}

func (n *testNode) burst(b packet.Buf) {
	one := []packet.Buf{b}
	if isPublication(&b) {
		n.slow.Burst(n.c.now, one)
		return
	}
	n.w.Burst(n.c.now, one)
	if one[0].Verdict == packet.Send {
		n.Send(one[0])
	}
}

// advance lets time pass in steps of a millisecond.
func (c *cluster) advance(ms int) {
	for range ms {
		c.now += 1e6
		for _, n := range c.nodes {
			if c.dead[n.number] {
				continue
			}
			n.w.Tick(c.now)
			n.slow.Tick(c.now)
		}
		for _, s := range c.servers {
			s.repeat()
		}
		c.settle()
	}
}

// fromClient brings a segment of the client to a node's north side.
func (c *cluster) fromClient(node int, k flow.Key, t packet.TCPSpec) {
	b := c.newBuf()
	t.Src, t.Dst, t.SrcPort, t.DstPort = k.Client, k.VIP, k.ClientPort, k.VIPPort
	b.Resize(1700)
	b.Resize(uint16(packet.BuildTCP(b.Bytes(), &t)))
	b.Port = packet.North
	c.nodes[node].burst(b)
	c.settle()
}

func (s *testServer) receive(f frame) {
	if f.msg.Type == 0 {
		if _, st := packet.Decapsulate(&f.buf); st != packet.OK {
			s.c.t.Fatalf("server %d got a frame that does not decapsulate: %v", s.number, st)
		}
		var in packet.Info
		if st := packet.Parse(f.buf.Bytes(), &in); st != packet.OK {
			s.c.t.Fatalf("server %d got a broken packet: %v", s.number, st)
		}
		var k flow.Key
		in.Key(&k)
		if _, mine := s.accepted[k]; !mine {
			s.c.t.Fatalf("server %d got a packet of a flow that it does not own", s.number)
		}
		s.data = append(s.data, in)
		return
	}
	m := f.msg
	switch m.Type {
	case wire.MsgOffer:
		if s.silent {
			return
		}
		s.offers = append(s.offers, m)
		if s.c.decide != nil {
			if why := s.c.decide(s, &m); why != wire.RejectNone {
				m.Type, m.Reason, m.TTL = wire.MsgReject, why, m.TTL-1
				s.send(m.Secondary, m.Primary, m)
				return
			}
		}
		s.accepted[m.Key] = m
		s.accept(m)
	case wire.MsgCommit:
		s.commits[m.Key]++
	case wire.MsgSuperseded:
		s.ended++
		delete(s.accepted, m.Key)
	default:
		s.c.t.Fatalf("server %d got message %d", s.number, m.Type)
	}
}

func (s *testServer) accept(m wire.Tracker) {
	m.Type = wire.MsgAccept
	s.send(m.Secondary, m.Primary, m)
}

// repeat resends what is not committed, every 20 ms.
func (s *testServer) repeat() {
	if s.c.now/1e6%20 != 0 {
		return
	}
	for k, m := range s.accepted {
		if s.commits[k] == 0 {
			s.accept(m)
		}
	}
}

// send goes to the secondary, or to a lone primary.
func (s *testServer) send(to, lone uint16, m wire.Tracker) {
	if to == NoNode {
		to = lone
	}
	cfg := s.c.nodes[0].cfg
	s.seq++
	m.Header = wire.Header{Type: m.Type, Role: wire.RoleServer, Sender: s.number, Boot: 1, Seq: s.seq, KeyID: 1}
	target, _ := packet.NewEncapTarget(cfg.Nodes[to].MAC, cfg.Servers[s.number].MAC, cfg.Nodes[to].South, cfg.Servers[s.number].Address)
	b := s.c.newBuf()
	b.Resize(wire.TrackerSize)
	wire.PutTracker(b.Bytes(), &m, s.key(to))
	packet.PrependUDP(&b, &target, 50000, wire.PortTracker)
	b.Port = packet.South
	s.c.put(cfg.Servers[s.number].ID, b)
}

// key seals what a server sends to a node.
func (s *testServer) key(to uint16) wire.Key {
	return wire.PairKey(testSecrets.Control[0].Key, wire.Peer{Role: wire.RoleServer, Number: s.number, Boot: 1},
		wire.Peer{Role: wire.RoleNode, Number: to, Boot: s.c.nodes[0].cfg.Nodes[to].Boot})
}

// messageKey seals what a message's sender, honest or not, sends to node 0.
func (c *cluster) messageKey(h *wire.Header) wire.Key {
	from := wire.Peer{Role: h.Role, Number: h.Sender, Boot: 1}
	if h.Role == wire.RoleNode && int(h.Sender) < len(c.nodes) {
		from.Boot = c.nodes[0].cfg.Nodes[h.Sender].Boot
	}
	return wire.PairKey(testSecrets.Control[0].Key, from, wire.Peer{Role: wire.RoleNode, Boot: c.nodes[0].cfg.Nodes[0].Boot})
}

// count sums a counter over all nodes.
func (c *cluster) count(which Counter) (n uint64) {
	for _, node := range c.nodes {
		n += node.w.Counters().Load(which)
	}
	return n
}

// lastSynAck is the newest SYN/ACK that the client got.
func (c *cluster) lastSynAck() *packet.Info {
	for i := len(c.client) - 1; i >= 0; i-- {
		if c.client[i].TCPFlags == packet.SYN|packet.ACK {
			return &c.client[i]
		}
	}
	c.t.Fatal("no SYN/ACK reached the client")
	return nil
}

func (c *cluster) owners(k flow.Key) (list []*testServer) {
	for _, s := range c.servers {
		if _, ok := s.accepted[k]; ok {
			list = append(list, s)
		}
	}
	return list
}
