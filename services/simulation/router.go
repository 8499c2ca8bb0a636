package simulation

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/flow"
)

// Router is the edge router: it spreads packets to public addresses over the
// LB nodes by a seeded layer-4 hash, and returns what comes back (section 1).
type Router struct {
	Access *Port // towards the clients
	North  *Port // towards the LB nodes

	seed     flow.Seed
	nextHops []MAC
	hosts    map[netip.Addr]MAC // on the side of the clients
	nodes    map[netip.Addr]MAC // on the side of the LB nodes
	isVIP    func(netip.Addr) bool
}

// NewRouter attaches a router to both buses.
func NewRouter(sim *Sim, access, north *Bus, accessMAC, northMAC MAC, isVIP func(netip.Addr) bool) *Router {
	rand := sim.Rand("router")
	r := &Router{seed: flow.Seed{rand.Uint64(), rand.Uint64()}, hosts: map[netip.Addr]MAC{}, nodes: map[netip.Addr]MAC{}, isVIP: isVIP}
	r.Access = access.Attach("router", accessMAC, r.forward)
	r.North = north.Attach("router", northMAC, r.forward)
	return r
}

// SetNextHops says which nodes are announced. Flows are spread anew.
func (r *Router) SetNextHops(hops []MAC) { r.nextHops = slices.Clone(hops) }

// AddHost makes a client's address reachable.
func (r *Router) AddHost(addr netip.Addr, mac MAC) { r.hosts[addr] = mac }

// AddNode makes a node's own address reachable.
func (r *Router) AddNode(addr netip.Addr, mac MAC) { r.nodes[addr] = mac }

// forward routes one packet; what has no route is dropped.
func (r *Router) forward(frame []byte) {
	d, ok := parseFrame(frame)
	if !ok {
		return
	}
	ip := slices.Clone(frame[ethernetSize:])
	if !liveOn(ip) {
		return
	}
	if r.isVIP(d.Dst.Addr()) {
		if len(r.nextHops) == 0 {
			return
		}
		k := flow.MakeKey(d.Src, d.Dst, d.Proto)
		to := r.nextHops[flow.Hash(&k, r.seed)%uint64(len(r.nextHops))]
		r.North.Send(ethernet(to, r.North.MAC, ip))
		return
	}
	if to, ok := r.nodes[d.Dst.Addr()]; ok {
		r.North.Send(ethernet(to, r.North.MAC, ip))
		return
	}
	if to, ok := r.hosts[d.Dst.Addr()]; ok {
		r.Access.Send(ethernet(to, r.Access.MAC, ip))
	}
}

// liveOn counts one hop and reports whether the packet lives on.
func liveOn(ip []byte) bool {
	if ip[0]>>4 == 6 {
		h := header.IPv6(ip)
		h.SetHopLimit(h.HopLimit() - 1)
		return h.HopLimit() > 0
	}
	h := header.IPv4(ip)
	if !h.IsChecksumValid() || h.TTL() <= 1 {
		return false
	}
	h.SetTTL(h.TTL() - 1)
	h.SetChecksum(0)
	h.SetChecksum(^h.CalculateChecksum())
	return true
}
