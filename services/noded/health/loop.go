package health

import (
	"context"
	crand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"

	"weir/dataplane/wire"
	"weir/services/config"
	"weir/services/noded/membership"
)

// learnEvery is how often the link addresses of routers are looked up.
const learnEvery = time.Second

// Loop is the thread that owns the membership of a node.
type Loop struct {
	log   *slog.Logger
	self  string
	noded uint64 // boot id of this control plane
	view  func(membership.View)

	sockets *sockets
	inbox   *inbox
	core    *membership.Core
	flush   func()
	push    *Pusher
	pings   map[uint16]*pinging
	checks  map[uint16]Verdict // the last one of every server that is checked here
	client  *http.Client
	ctx     context.Context // of checks of servers

	cluster *config.Cluster
	me      *config.Member
	nodes   map[uint16]*config.Member
	servers map[uint16]*target
	routers []netip.Addr
	keys    []wire.ControlKey
	seq     uint64 // of what this control plane sends
	turn    int    // router that the next ping goes through
	learned time.Duration
	late    time.Duration // when the log last said that this thread is
	seen    uint64        // version of the view that was handed out
	frame   [wire.PingSize]byte
	count   Counters
	events  map[string]uint64 // by kind
}

// Counters of what went no further, and of what happened. They rise from 0.
type Counters struct {
	BadTag    uint64 // datagrams with a wrong tag or unknown key
	Malformed uint64
	Stranger  uint64 // from an address or number that the cluster does not have
	Stale     uint64 // answers that belong to no question, copies, boot ids that are not proved
	NoRouter  uint64 // pings not sent: the router's link address is not known
}

// Options of a Loop.
type Options struct {
	Log       *slog.Logger
	Node      string // id in the cluster file
	Noded     uint64 // boot id of this control plane
	Exception string // interface with the north addresses
	// View is called from the loop's thread whenever the view has changed. It
	// must not wait.
	View func(membership.View)
	// Flush makes the dataplane forget all flows and begin a new life (S-59). It
	// must not wait.
	Flush func()
}

// New opens the sockets of a node.
func New(c *config.Cluster, o Options) (*Loop, error) {
	me := c.Member(o.Node)
	l := &Loop{log: o.Log, self: o.Node, noded: o.Noded, view: o.View, flush: o.Flush, client: newClient(), pings: map[uint16]*pinging{}, checks: map[uint16]Verdict{}, events: map[string]uint64{}}
	var err error
	if l.inbox, err = newInbox(); err != nil {
		return nil, err
	}
	if l.sockets, err = open(me.North, me.South, o.Exception); err != nil {
		l.inbox.close()
		return nil, err
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails (crypto/rand)
	random := rand.NewChaCha8(seed)
	l.push = NewPusher(me.Number, random)
	l.take(c)
	l.core = membership.New(l.settings(), rand.New(random), l)
	return l, nil
}

// Close closes the sockets. Run has ended.
func (l *Loop) Close() {
	l.sockets.close()
	l.inbox.close()
}

// Resume tells, before Run, that the dataplane lives on from before a restart of
// the control plane, with these flags (wire.Node…).
func (l *Loop) Resume(boot uint64, flags uint8) { l.core.Resume(boot, flags) }

// Drain tells, before Run, that the operator wants this node out.
func (l *Loop) Drain() { l.core.Drain(clock(), true) }

// settings is the cluster file as membership needs it.
func (l *Loop) settings() membership.Config {
	c := l.cluster
	out := membership.Config{
		Self: l.me.Number, Noded: l.noded, Interval: c.Health.Interval, Misses: c.Health.Misses, ServerInterval: c.Health.ServerInterval,
		Lease: c.Publishing.Lease, Publication: c.Publishing.Interval,
	}
	out.Nodes, out.Servers = l.lists()
	return out
}

func (l *Loop) lists() (nodes []membership.Node, servers []uint16) {
	for i := range l.cluster.Nodes {
		m := &l.cluster.Nodes[i]
		nodes = append(nodes, membership.Node{Number: m.Number, Tracker: m.Healthy && m.Has(config.RoleTracker)})
	}
	for _, s := range l.cluster.Servers {
		servers = append(servers, s.Number)
	}
	return nodes, servers
}

// take notes a cluster file.
func (l *Loop) take(c *config.Cluster) {
	l.cluster, l.me = c, c.Member(l.self)
	l.nodes, l.servers, l.routers = map[uint16]*config.Member{}, map[uint16]*target{}, nil
	for i := range c.Nodes {
		l.nodes[c.Nodes[i].Number] = &c.Nodes[i]
	}
	for _, s := range c.Servers {
		l.servers[s.Number] = newTarget(c, &s)
	}
	for _, r := range c.Routers {
		l.routers = append(l.routers, r.Address)
	}
	l.keys = c.Keys.Seals()
	l.push.Keys = l.keys
	l.learned = 0
}

// Configure takes a changed cluster file, in which this node has the same
// number and addresses.
func (l *Loop) Configure(c *config.Cluster) {
	l.inbox.post(func() {
		l.take(c)
		nodes, servers := l.lists()
		l.core.Configure(clock(), nodes, servers)
	})
}

// Do calls f with the membership, from the thread that owns it, soon.
func (l *Loop) Do(f func(now time.Duration, core *membership.Core)) {
	l.inbox.post(func() { f(clock(), l.core) })
}

// Run is the thread, until the context ends.
func (l *Loop) Run(ctx context.Context) {
	ownThread() // for good: the thread ends with the goroutine
	l.ctx = ctx
	stop := context.AfterFunc(ctx, func() { l.inbox.post(func() {}) })
	defer stop()
	buf := make([]byte, maxDatagram)
	next := clock()
	for ctx.Err() == nil {
		wait(next-clock(), l.inbox.wake, l.sockets.north, l.sockets.south, l.sockets.gossip)
		l.read(buf)
		if now := clock(); now >= next {
			l.tick(now)
			// This thread goes before all ordinary ones: also when it is late it
			// leaves them some time.
			next = max(next+l.core.Step(), clock()+l.core.Step()/4)
		}
		if v := l.core.View(); v.Version != l.seen {
			l.seen = v.Version
			l.view(v)
		}
	}
}

// read takes everything that has arrived.
func (l *Loop) read(buf []byte) {
	l.inbox.do()
	drain(l.sockets.north, buf, l.pinged)
	drain(l.sockets.south, buf, l.pinged)
	drain(l.sockets.gossip, buf, l.gossiped)
	drain(l.sockets.echo, buf, l.echoed)
}

func (l *Loop) tick(now time.Duration) {
	if l.learned == 0 || now-l.learned >= learnEvery {
		l.learned = now
		l.sockets.raw.learn(l.routers)
	}
	l.core.Tick(now)
	l.pushLists(now)
}

// opened reads and verifies the header of a datagram.
func (l *Loop) opened(d []byte, h *wire.Header) bool {
	if wire.ReadHeader(d, h) != nil {
		l.count.Malformed++
		return false
	}
	key, ok := wire.FindKey(l.keys, h.KeyID)
	if !ok || wire.Verify(d, key) != nil {
		l.count.BadTag++
		return false
	}
	return true
}

// pinged takes what arrives on UDP 6084: answers to pings and to node lists.
func (l *Loop) pinged(d []byte, from netip.AddrPort) {
	var h wire.Header
	if !l.opened(d, &h) {
		return
	}
	switch h.Type {
	case wire.MsgPong:
		l.pong(d, &h, from)
	case wire.MsgNodeListAck:
		l.listed(d, &h, from)
	default:
		l.count.Malformed++
	}
}

func (l *Loop) pong(d []byte, h *wire.Header, from netip.AddrPort) {
	var p wire.Ping
	if wire.GetPing(d, h, &p) != nil {
		l.count.Malformed++
		return
	}
	m := l.nodes[h.Sender]
	if m == nil || h.Role != wire.RoleNode || p.Node != h.Sender || from.Addr() != m.North && from.Addr() != m.South {
		l.count.Stranger++
		return
	}
	now, a := clock(), membership.Pong{Node: p.Node, Side: p.Side, Nonce: p.Nonce, Boot: h.Boot, Noded: p.Noded}
	if !l.core.Pong(now, a) {
		l.count.Stale++
		return
	}
	l.answered(&a, now)
}

func (l *Loop) gossiped(d []byte, from netip.AddrPort) {
	var h wire.Header
	if !l.opened(d, &h) {
		return
	}
	m := l.nodes[h.Sender]
	if m == nil || h.Role != wire.RoleNode || h.Type != wire.MsgGossip || from.Addr() != m.South {
		l.count.Stranger++
		return
	}
	if l.core.Gossip(clock(), &h, d) != nil {
		l.count.Stale++
	}
}
