package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"weir/dataplane/bench/traffic"
	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

const (
	burst   = 32
	servers = 4
	// perConnection is how much virtual time passes per connection, ns: a
	// worker at the rate that it has to reach.
	perConnection = 20_000
)

// cluster is some nodes of one worker each, servers whose modules accept every
// offer, and clients. Frames are delivered at once and in order; nothing is
// lost. Time is virtual.
type cluster struct {
	now       int64
	nodes     []*node
	frames    arena
	clients   map[netip.AddrPort]int // clients that wait for a SYN/ACK, and their node
	committed int                    // connections of which a server knows that both trackers hold them
	delivered int                    // client packets that reached a server
	seq       uint64
	broken    error
}

// node is a node and its outside world.
type node struct {
	c     *cluster
	w     *lbnode.Worker
	cfg   *lbnode.Config
	in    []packet.Buf
	spent time.Duration // in Burst and Tick, and in the IO below, which is a few ns per frame
}

var secrets = lbnode.Secrets{Control: []wire.ControlKey{{ID: 1, Key: wire.Key{K0: 1, K1: 2}}}, Cookie: []wire.Key{{K0: 3, K1: 4}},
	Ring: flow.Seed{5, 6}, Ranking: flow.Seed{7, 8}, Steering: flow.Seed{9, 10}}

func newCluster(nodes, flows int) (*cluster, error) {
	c := &cluster{now: 1e9, clients: map[netip.AddrPort]int{}}
	if err := c.frames.init(16384); err != nil {
		return nil, err
	}
	base := lbnode.Config{Secrets: secrets, FabricMTU: 1500, WScale: 7, HoldBytes: 65535, HoldPkts: 64,
		Routers: []lbnode.MAC{{2, 0, 0, 0, 0, 1}}, WallNanos: 1_800_000_000e9}
	for n := range nodes {
		base.Nodes = append(base.Nodes, lbnode.Node{Number: uint16(n), ID: fmt.Sprint("lb", n+1),
			South: netip.AddrFrom4([4]byte{10, 20, 0, byte(11 + n)}), MAC: lbnode.MAC{2, 0, 0, 0, 1, byte(n)},
			Tracker: true, Ingress: true, Egress: true, Seed: uint64(n+1) * 0x9e3779b97f4a7c15})
	}
	e := lbnode.Endpoint{Name: "web", Addresses: []netip.Addr{traffic.VIP.Addr()}, Proto: packet.ProtoTCP,
		PortFirst: traffic.VIP.Port(), PortLast: traffic.VIP.Port(), TTL: 8}
	for s := range servers {
		base.Servers = append(base.Servers, lbnode.Server{Number: uint16(s), ID: fmt.Sprint("srv", s+1),
			Address: netip.AddrFrom4([4]byte{10, 20, 0, byte(101 + s)}), MAC: lbnode.MAC{2, 0, 0, 0, 2, byte(s)},
			Weight: 100, Healthy: true, Seed: uint64(s+1) * 0xc2b2ae3d27d4eb4f})
		e.Servers = append(e.Servers, uint16(s))
	}
	base.Endpoints = []lbnode.Endpoint{e}
	for n := range nodes {
		cfg := base
		cfg.Self, cfg.Boot = uint16(n), uint64(n)+1
		cfg.MACs = [packet.NumPorts]lbnode.MAC{{2, 0, 0, 0, 0, byte(n)}, base.Nodes[n].MAC}
		if err := cfg.Prepare(); err != nil {
			return nil, err
		}
		nd := &node{c: c, cfg: &cfg}
		w, err := lbnode.NewWorker(0, lbnode.Limits{Flows: flows, HalfOpen: 65536, Held: 8192}, nd, flow.Seed{uint64(n), 99})
		if err != nil {
			return nil, err
		}
		w.SetConfig(&cfg)
		nd.w = w
		c.nodes = append(c.nodes, nd)
	}
	return c, nil
}

// Alloc, Send and Free are the worker's IO.
func (n *node) Alloc() (packet.Buf, bool) { return n.c.frames.take() }
func (n *node) Free(b packet.Buf)         { n.c.frames.give(b) }
func (n *node) Send(b packet.Buf)         { n.c.route(b) }

// connect makes connections from first to last: SYN, SYN/ACK, ACK, offer,
// accept and commit, all as the real programs would.
func (c *cluster) connect(first, last int) error {
	for i := first; i < last; i++ {
		client := traffic.Client(i)
		at := i % len(c.nodes)
		c.clients[client] = at
		o := packet.TCPOptions{MSS: 1460, WScale: 7, SACKPermitted: true, Timestamps: true, TSval: 1}
		c.fromClient(at, client, &packet.TCPSpec{Seq: 1000, Flags: packet.SYN, Window: 64240, Options: &o})
	}
	for c.step() {
	}
	c.now += int64(last-first) * perConnection
	for _, n := range c.nodes {
		start := cpuTime()
		n.w.Tick(c.now)
		n.spent += cpuTime() - start
	}
	for c.step() {
	}
	return c.broken
}

// step gives every node a burst of what waits for it, and reports whether there was any.
func (c *cluster) step() bool {
	worked := false
	for _, n := range c.nodes {
		k := min(len(n.in), burst)
		if k == 0 {
			continue
		}
		worked = true
		var bufs [burst]packet.Buf
		copy(bufs[:], n.in[:k])
		n.in = n.in[:copy(n.in, n.in[k:])]
		start := cpuTime()
		n.w.Burst(c.now, bufs[:k])
		n.spent += cpuTime() - start
		for _, b := range bufs[:k] {
			switch b.Verdict {
			case packet.Send:
				c.route(b)
			case packet.Drop:
				c.frames.give(b)
			}
		}
	}
	return worked
}

// route takes a frame that a node sent to where its MAC address says.
func (c *cluster) route(b packet.Buf) {
	mac := lbnode.MAC(b.Bytes())
	switch {
	case b.Port == packet.North:
		c.toClient(b)
	case mac[4] == 1 && int(mac[5]) < len(c.nodes):
		c.nodes[mac[5]].in = append(c.nodes[mac[5]].in, b)
	case mac[4] == 2 && mac[5] < servers:
		c.toServer(b, uint16(mac[5]))
	default:
		c.fail("a frame goes to nobody: %x", mac)
	}
}

// fromClient brings a client's segment to a node.
func (c *cluster) fromClient(at int, client netip.AddrPort, t *packet.TCPSpec) {
	b, ok := c.frames.take()
	if !ok {
		c.fail("no frame is left for a client")
		return
	}
	t.Src, t.Dst, t.SrcPort, t.DstPort = client.Addr().As16(), traffic.VIP.Addr().As16(), client.Port(), traffic.VIP.Port()
	b.Resize(128)
	b.Resize(uint16(packet.BuildTCP(b.Bytes(), t)))
	b.Port = packet.North
	c.nodes[at].in = append(c.nodes[at].in, b)
}

// toClient answers a SYN/ACK with an ACK.
func (c *cluster) toClient(b packet.Buf) {
	defer c.frames.give(b)
	var in packet.Info
	var o packet.TCPOptions
	if st := packet.Parse(b.Bytes(), &in); st != packet.OK || in.TCPFlags != packet.SYN|packet.ACK ||
		!packet.ParseTCPOptions(in.Options(b.Bytes()), &o) {
		c.fail("a client got a frame that is no SYN/ACK: %v, flags %x", st, in.TCPFlags)
		return
	}
	client := netip.AddrPortFrom(netip.AddrFrom16(in.Dst).Unmap(), in.DstPort)
	at, waits := c.clients[client]
	if !waits {
		return // a second SYN/ACK
	}
	delete(c.clients, client)
	ack := packet.TCPOptions{WScale: packet.NoWScale, Timestamps: true, TSval: 2, TSecr: o.TSval}
	c.fromClient(at, client, &packet.TCPSpec{Seq: in.Ack, Ack: in.Seq + 1, Flags: packet.ACK, Window: 502, Options: &ack})
}

// toServer is a module that accepts every offer.
func (c *cluster) toServer(b packet.Buf, server uint16) {
	defer c.frames.give(b)
	var in packet.Info
	if st := packet.Parse(b.Bytes(), &in); st != packet.OK {
		c.fail("a server got a broken frame: %v", st)
		return
	}
	if in.DstPort == wire.PortData {
		c.delivered++
		return
	}
	var m wire.Tracker
	d := b.Bytes()[in.Payload:in.End]
	if err := errors.Join(wire.ReadHeader(d, &m.Header), wire.DecodeTracker(d, &m)); err != nil {
		c.fail("a server got a bad message: %v", err)
		return
	}
	switch m.Type {
	case wire.MsgOffer:
		c.accept(server, &m)
	case wire.MsgCommit:
		c.committed++
	default:
		c.fail("a server got message %d", m.Type)
	}
}

func (c *cluster) accept(server uint16, m *wire.Tracker) {
	to := m.Secondary
	if to == lbnode.NoNode {
		to = m.Primary
	}
	cfg := c.nodes[to].cfg
	target, err := packet.NewEncapTarget(cfg.Nodes[to].MAC, cfg.Servers[server].MAC, cfg.Nodes[to].South, cfg.Servers[server].Address)
	if err != nil {
		c.fail("%v", err)
		return
	}
	b, ok := c.frames.take()
	if !ok {
		c.fail("no frame is left for a module")
		return
	}
	c.seq++
	m.Header = wire.Header{Type: wire.MsgAccept, Role: wire.RoleServer, Sender: server, Boot: 1, Seq: c.seq, KeyID: 1}
	b.Resize(wire.TrackerSize)
	wire.PutTracker(b.Bytes(), m, wire.PairKey(secrets.Control[0].Key, wire.Peer{Role: wire.RoleServer, Number: server}, wire.Peer{Role: wire.RoleNode, Number: to}))
	if st := packet.PrependUDP(&b, &target, 50000, wire.PortTracker); st != packet.OK {
		c.fail("a module's message: %v", st)
		return
	}
	b.Port = packet.South
	c.nodes[to].in = append(c.nodes[to].in, b)
}

func (c *cluster) fail(format string, args ...any) {
	if c.broken == nil {
		c.broken = fmt.Errorf(format, args...)
	}
}
