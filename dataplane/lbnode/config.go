// Package lbnode holds the roles of an LB node as pure state machines: packets
// and the time come in as arguments, packets and timers go out. No sockets, no
// clocks, no goroutines, no DPDK: the engine and the message bus drive the same
// code (S-90).
package lbnode

import (
	"net/netip"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// MAC is an Ethernet address.
type MAC [6]byte

// Tick is the unit of leases.
const Tick = 100 * time.Millisecond

// NoNode is the number of no node: a lone node has no secondary.
const NoNode = 0xffff

// Node is another LB node, or this one.
type Node struct {
	Number  uint16
	ID      string
	Boot    uint64     // of its dataplane: with another one it has lost its state
	North   netip.Addr // where answers to pings from the fabric go
	South   netip.Addr // where its datagrams go
	MAC     MAC        // next hop on the fabric towards it; zero: not resolved
	Tracker bool       // may be primary or secondary (S-6)
	Ingress bool
	Egress  bool
	Seed    uint64 // of its place on the ring
}

// Server is a server node with a module.
type Server struct {
	Number  uint16
	ID      string
	Address netip.Addr
	MAC     MAC    // next hop on the fabric towards it; zero: not resolved
	Weight  uint32 // relative capacity
	Healthy bool   // gets offers
	Dead    bool   // no sign of life: packets to it are answered with RST (S-58)
	Boot    uint64 // of its module
	Seed    uint64
}

// Endpoint is a public address, a port range and a protocol (S-4).
type Endpoint struct {
	Name       string
	Addresses  []netip.Addr
	Proto      uint8
	PortFirst  uint16
	PortLast   uint16
	Servers    []uint16 // numbers
	TTL        uint8    // offers per connection (S-33)
	MustAccept bool     // when the TTL ends, the last server must accept, instead of a RST
	TryAll     bool     // when all servers are unhealthy: try all, instead of a RST (S-58)
}

// Secrets of a cluster. Each use has its own.
type Secrets struct {
	Control  []wire.ControlKey // tags of control datagrams; the first one seals
	Cookie   []wire.Key        // ISNs (S-12); the first one makes them
	Ring     flow.Seed         // primary and secondary; never rotated (S-70)
	Ranking  flow.Seed         // order of offers
	Steering flow.Seed         // flow to worker; per node, need not be shared
}

// Config is everything a worker needs to know. It is immutable: a change makes
// a new one, which a worker takes up between two bursts.
type Config struct {
	Self      uint16 // number of this node
	Boot      uint64
	Epoch     uint32
	Secrets   Secrets
	Nodes     []Node
	Servers   []Server
	Endpoints []Endpoint

	MACs      [packet.NumPorts]MAC          // of the node's NICs
	Addresses [packet.NumPorts][]netip.Addr // of the node itself
	Routers   []MAC                         // next hops north, resolved

	FabricMTU uint16 // of the encapsulated IP packet, bytes
	WScale    uint8  // window scale promised to clients
	HoldBytes uint32 // per flow, before its mapping is known (S-16)
	HoldPkts  uint16
	Lease     uint32 // ticks that an entry lives without being published (S-42)
	Settled   bool   // the ring is stable for longer than a lease (S-58)
	Vital     *Vital // nil: pings are not answered
	WallNanos int64  // wall clock minus the clock given to Burst, ns: the cookie's coarse clock

	view *view // made by Prepare
}
