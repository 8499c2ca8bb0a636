package simulation

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/services/config"
	"weir/services/noded/bgp"
	"weir/services/noded/health"
	"weir/services/noded/membership"
)

// control is a node's control plane: the membership that ships, and in the
// place of sockets, the dataplane's API and BGP what stands for them here.
type control struct {
	n       *Node
	c       *Cluster
	core    *membership.Core
	push    *health.Pusher
	boot    uint64
	seq     uint64 // of what it sends
	seen    uint64 // version of the view that was acted on
	flushed bool   // the dataplane is to forget everything
	wanted  []bgp.Target
	speaks  bool
	packets map[uint16][2]uint32 // when servers were last seen, by packets and by publications
}

// Times of a control plane.
const (
	acting       = 20 * time.Millisecond // longest time from a view to its configuration
	beating      = 100 * time.Millisecond
	checkLatency = 2 * time.Millisecond // of a server that answers
)

// begin starts a control plane on a node whose dataplane runs.
func (c *Cluster) begin(n *Node) {
	r := c.Sim.Rand("noded " + n.ID)
	for range n.life { // another life, another luck
		r.Uint64()
	}
	random := rand.NewPCG(r.Uint64(), r.Uint64())
	k := &control{n: n, c: c, boot: n.Boot | 1<<63, push: health.NewPusher(n.Number, random), packets: map[uint16][2]uint32{}}
	k.push.Keys = c.config.Keys.Seals()
	cfg := membership.Config{Self: n.Number, Noded: k.boot, Interval: c.config.Health.Interval, Misses: c.config.Health.Misses,
		ServerInterval: c.config.Health.ServerInterval, Lease: c.config.Publishing.Lease, Publication: c.config.Publishing.Interval}
	for i := range c.config.Nodes {
		m := &c.config.Nodes[i]
		cfg.Nodes = append(cfg.Nodes, membership.Node{Number: m.Number, Tracker: m.Has(config.RoleTracker)})
	}
	for _, s := range c.config.Servers {
		cfg.Servers = append(cfg.Servers, s.Number)
	}
	k.core = membership.New(cfg, rand.New(random), k)
	n.control = k
	n.vital = &lbnode.Vital{}
	n.vital.Noded.Store(k.boot)
	n.after(time.Duration(r.Int64N(int64(beating))), k.beat)
	n.after(time.Duration(r.Int64N(int64(beating))), k.tick)
}

func (k *control) now() time.Duration { return time.Duration(k.n.now()) }

// again does something after a time, or when the process runs again.
func (k *control) again(d time.Duration, do func()) {
	k.n.after(d, func() { k.n.whenRunning(do) })
}

func (k *control) tick() {
	k.core.Tick(k.now())
	v := k.core.View()
	if v.Learned && !v.Isolated {
		k.push.Set(health.List(k.c.config, &v))
		for _, s := range v.Servers {
			if !s.Mine {
				k.push.Forget(s.Number)
			}
		}
		k.push.Due(k.now(), func(d []byte, to netip.AddrPort) { k.send(packet.South, wire.PortPing, to, d) })
	}
	if v.Version != k.seen {
		k.seen = v.Version
		k.again(time.Duration(k.n.rand.Int64N(int64(acting))), k.act)
	}
	k.n.bgp.keep(k.n)
	k.again(k.core.Step(), k.tick)
}

// act brings dataplane and BGP sessions in line with the view.
func (k *control) act() {
	view := k.core.View()
	v := view.ForConfig()
	if v.Nodes[k.n.Number].Boot == 0 {
		return
	}
	if err := k.c.configureNode(k.n, v); err != nil {
		k.c.Sim.Violate("%v", err)
		return
	}
	k.n.tick()
	k.speaks = view.Speaks(k.n.Number)
	k.n.bgp.want(k.n, bgp.Plan(k.c.config, v, k.n.ID, k.speaks).Targets)
}

// beat is what the dataplane's API tells in every interval.
func (k *control) beat() {
	if k.flushed {
		k.flushed = false
		k.n.flush()
	}
	n := k.n
	k.core.Dataplane(k.now(), n.Boot, n.epoch, n.synced())
	k.core.Sessions(k.now(), k.speaks && n.bgp.announcing(n))
	for _, s := range k.c.Servers {
		now := [2]uint32{1: n.slow.ServerSeen(s.number)}
		for _, w := range n.Workers {
			now[0] = max(now[0], w.ServerSeen(s.number))
		}
		if now != k.packets[s.number] {
			k.packets[s.number] = now
			k.core.ServerLife(k.now(), s.number, 0)
		}
	}
	k.again(beating, k.beat)
}

// receive takes a datagram for the node itself.
func (k *control) receive(d datagram) {
	if d.Proto != protoUDP || len(d.Payload) < udpSize {
		return
	}
	body := slices.Clone(d.Payload[udpSize:])
	k.n.whenRunning(func() { k.take(d, body) })
}

func (k *control) take(d datagram, body []byte) {
	var h wire.Header
	if wire.ReadHeader(body, &h) != nil {
		return
	}
	key, ok := wire.FindKey(k.c.config.Keys.Seals(), h.KeyID)
	if !ok || wire.Verify(body, key) != nil {
		return
	}
	switch h.Type {
	case wire.MsgPong:
		var p wire.Ping
		if wire.GetPing(body, &h, &p) == nil && p.Node == h.Sender {
			k.core.Pong(k.now(), membership.Pong{Node: p.Node, Side: p.Side, Nonce: p.Nonce, Boot: h.Boot, Noded: p.Noded})
		}
	case wire.MsgGossip:
		// Why one is not taken is the membership's business.
		_ = k.core.Gossip(k.now(), &h, body)
	case wire.MsgNodeListAck:
		var a wire.NodeListAck
		if wire.GetNodeListAck(body, &h, &a) == nil && h.Role == wire.RoleServer && k.push.Answer(&a) {
			k.core.ServerLife(k.now(), h.Sender, h.Boot)
		}
	}
}

// send puts a datagram of the node itself on a bus.
func (k *control) send(side packet.Port, from uint16, to netip.AddrPort, d []byte) {
	n, self := k.n, k.c.config.Member(k.n.ID)
	src, mac := self.South, k.c.macs[to.Addr()]
	if side == packet.North {
		src, mac = self.North, routerMAC()
	}
	n.Ports[side].Send(ethernet(mac, n.Ports[side].MAC, udpPacket(src, to.Addr(), from, to.Port(), d)))
}

// The methods of membership.Output.

func (k *control) Ping(node uint16, side uint8, nonce uint64, worker uint8) {
	m := &k.c.config.Nodes[node-1]
	key := k.push.Keys[0]
	k.seq++
	var d [wire.PingSize]byte
	wire.PutPing(d[:], &wire.Ping{Header: wire.Header{Type: wire.MsgPing, Worker: worker, Role: wire.RoleNode, Sender: k.n.Number, Seq: k.seq, KeyID: key.ID},
		Nonce: nonce, Node: node, Side: side, Noded: k.boot}, key.Key)
	if side == wire.PingSouth {
		k.send(packet.South, wire.PortPing, netip.AddrPortFrom(m.South, wire.PortPing), d[:])
	} else {
		k.send(packet.North, wire.PortPing, netip.AddrPortFrom(m.North, wire.PortPing), d[:])
	}
}

func (k *control) Gossip(node uint16, d []byte) {
	key := k.push.Keys[0]
	k.seq++
	wire.Seal(d, &wire.Header{Type: wire.MsgGossip, Role: wire.RoleNode, Sender: k.n.Number, Boot: k.boot, Seq: k.seq, KeyID: key.ID}, key.Key)
	k.send(packet.South, wire.PortGossip, netip.AddrPortFrom(k.c.config.Nodes[node-1].South, wire.PortGossip), d)
}

// CheckServer is the L7 ping: HTTP over the machine's own TCP, which repeats
// what is lost. It succeeds if node and server can reach each other at all.
func (k *control) CheckServer(server uint16) {
	s, south := k.c.Servers[server-1], k.n.links[packet.South]
	if !s.down && south.in < 1 && south.out < 1 {
		k.again(checkLatency, func() { k.core.ServerResult(k.now(), server, !s.Agent.Draining(), true, 0) })
		return
	}
	k.again(k.c.config.Health.ServerTimeout, func() { k.core.ServerResult(k.now(), server, false, false, 0) })
}

func (k *control) PushNodes(server uint16) {
	k.push.Want(server, k.c.Servers[server-1].address)
}

func (k *control) Flush() { k.flushed = true }

func (k *control) Event(e membership.Event) {
	k.c.Sim.Log("%s: membership: %s", k.n.ID, e)
}

// Announced reports whether the router sends packets to all nodes that run.
func (c *Cluster) Announced() bool {
	running := 0
	for _, n := range c.Nodes {
		if !n.down {
			running++
		}
	}
	return len(c.Router.nextHops) == running
}
