// Package agent is the LB module's control logic as a pure state machine:
// tracker messages, the kernel's handshake frames and the time come in;
// messages, frames and flow-map operations go out through small interfaces. No
// sockets, no clocks, no goroutines, no eBPF: the module's rim and the message
// bus drive the same code (S-90).
package agent

import (
	"math"
	"net/netip"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// never is the time of what is not planned.
const never = math.MaxInt64

// NoNode is the number of no node.
const NoNode = 0xffff

// Output takes what the core emits. Arguments are only valid during the call.
type Output interface {
	// Send sends a datagram, sealed, from one of the server's UDP ports.
	Send(from uint16, to netip.AddrPort, d []byte)
	// Route tells the data path of nodes that may or may not carry replies any
	// more, and of the slots that change with them. It is in force at once (S-75).
	Route(nodes []Node, slots []Slot)
	// Inject hands a packet to the server's kernel as if the client had sent
	// it: an Ethernet frame with checksums right and both MACs zero, for the
	// receiver to fill in. One of kind Handshake must be let through only
	// while the flow is Pending, and makes it Established in the same instant
	// (the data path does both).
	Inject(frame []byte, kind InjectKind)
}

// InjectKind says how an injected packet meets the flow map.
type InjectKind uint8

const (
	Plain     InjectKind = iota // passes always
	Handshake                   // the kernel handshake's last ACK
)

// Flows is the flow map of the data path.
type Flows interface {
	Get(k *flow.Key) (Flow, bool)
	// Put creates or replaces an entry; ErrFull when the map is at its bound.
	Put(k *flow.Key, f *Flow) error
	Delete(k *flow.Key)
	// Walker begins a walk of its own through the map.
	Walker() Walker
}

// Walker goes through the flow map, round and round.
type Walker interface {
	// Walk visits up to n entries, going on where the last call stopped, and
	// reports whether the end of the map was reached (the next call begins
	// anew). visit must not change the map.
	Walk(n int, visit func(k *flow.Key, f *Flow)) (end bool)
}

// SocketState is what the kernel knows of a four-tuple.
type SocketState uint8

const (
	SocketNone     SocketState = iota // nothing but, perhaps, a listener
	SocketOpening                     // SYN_RECV
	SocketTimeWait                    // TIME_WAIT: a new SYN may take the tuple over
	SocketLive                        // every other state
)

// Sockets looks up the server's kernel.
type Sockets interface {
	Lookup(k *flow.Key) SocketState
}

// Admission decides on offers (S-30, S-31).
type Admission interface {
	// Admit returns wire.RejectNone or the reason of the rejection.
	Admit(now int64, k *flow.Key) (reason uint8)
	// Accepted counts a connection that was taken, admitted or forced.
	Accepted(now int64)
}

// Node is an LB node.
type Node struct {
	Number  uint16
	Address netip.Addr // on the fabric, IPv4
	Boot    uint64     // of its dataplane; 0: the node lists will tell
	Egress  bool       // healthy, and may carry our replies north
	Tracker bool       // on the ring
	Seed    uint64     // of its place there
}

// Endpoint is one public address with its ports.
type Endpoint struct {
	Address     netip.Addr
	Proto       uint8
	PortFirst   uint16
	PortLast    uint16
	AcceptAfter uint8 // accept whatever the load once rejected this often; 0: never (S-32)
}

// Config is immutable; a change makes a new one.
type Config struct {
	Server    uint16            // number of this server
	Boot      uint64            // changes with the loss of the flow map
	Keys      []wire.ControlKey // the first one seals, all open
	Nodes     []Node
	Endpoints []Endpoint
	Seed      flow.Seed     // of the egress choice
	Ring      flow.Seed     // of the trackers' ring
	FabricMTU int           // bytes of an IP packet on the fabric; 0: 1500
	WScale    uint8         // window scale that the trackers promise to clients
	Publish   time.Duration // in which every connection is published once; 0: never
}

// Core is the module's state machine. It is driven by one goroutine.
type Core struct {
	cfg       *Config
	out       Output
	flows     Flows
	sockets   Sockets
	admission Admission

	now      int64 // ns, of the present call
	peers    []*peer
	nodes    map[uint16]*peer
	byAddr   map[netip.Addr]*peer
	targets  []*peer // of publications
	ring     *hashring.Ring
	checkers map[uint16]*checker
	listed   []wire.ListedNode // scratch
	slots    []netip.Addr
	draining bool
	seq      uint64

	handshakes map[flow.Key]*handshake
	due        timers
	ended      memory
	gc         collector
	strays     bucket
	publisher  publisher

	counters Counters
	scratch  [128]byte
	buffer   [wire.TrackerSize]byte
}

// New builds a core. Recover must be called once before the first message.
func New(cfg *Config, out Output, flows Flows, sockets Sockets, admission Admission) *Core {
	c := &Core{out: out, flows: flows, sockets: sockets, admission: admission,
		handshakes: make(map[flow.Key]*handshake), ended: newMemory(maxEnded), checkers: make(map[uint16]*checker)}
	c.gc.walk = flows.Walker()
	c.SetConfig(cfg)
	return c
}

// SetConfig takes up a new configuration. Existing connections keep their
// egress node; the caller also writes Nodes and their EgressSlots to the data
// path, which serves the flows whose node is gone (S-75).
func (c *Core) SetConfig(cfg *Config) {
	c.cfg = cfg
	c.publisher.w.Max = cfg.FabricMTU - packet.TunnelOverhead
	c.setPeers(cfg.Nodes)
}

// SetDraining starts or ends draining: no new connections, old ones stay (S-34).
func (c *Core) SetDraining(on bool) { c.draining = on }

// Draining reports whether the server takes no new connections.
func (c *Core) Draining() bool { return c.draining }

// message handles an authentic tracker message of a node.
func (c *Core) message(now int64, m *wire.Tracker) {
	switch m.Type {
	case wire.MsgOffer:
		c.counters.Offers++
		c.offer(now, m)
	case wire.MsgCommit:
		c.commit(m)
	case wire.MsgSuperseded:
		c.superseded(now, m)
	default:
		c.counters.UnknownMessage++
	}
}

// Tick does what is due and returns when to call again at the latest, ns.
func (c *Core) Tick(now int64) (next int64) {
	c.now = now
	for len(c.due) > 0 && c.due[0].due <= now {
		c.expire(now, c.due[0])
	}
	next = min(c.collect(now), c.publish(now))
	if len(c.due) > 0 && c.due[0].due < next {
		next = c.due[0].due
	}
	return next
}

// endpoint finds the endpoint of a flow.
func (c *Core) endpoint(k *flow.Key) *Endpoint {
	vip := k.VIPAddr().Addr()
	for i := range c.cfg.Endpoints {
		e := &c.cfg.Endpoints[i]
		if e.Address == vip && e.Proto == k.Proto && e.PortFirst <= k.VIPPort && k.VIPPort <= e.PortLast {
			return e
		}
	}
	return nil
}
