package check

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"weir/services/api"
)

// bgpPort is BGP's, where a session does not say another one.
const bgpPort = 179

// routerList are the routers as far as anybody knows them: from the sessions,
// from what the dataplane resolves north, from the gateways of node.yaml.
func (r *run) routerList() (out []netip.Addr) {
	add := func(a netip.Addr) {
		if a.IsValid() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, b := range r.f.Node.GetBgp() {
		a, _ := netip.ParseAddr(b.Peer) // invalid: left out
		add(a)
	}
	for _, n := range r.f.Dataplane.GetNeighbours() {
		if n.Port == "north" {
			a, _ := netip.AddrFromSlice(n.Address) // invalid: left out
			add(a)
		}
	}
	if m := r.machine(); m != nil && len(out) == 0 {
		add(m.North.Gateway)
		add(m.North.Gateway6)
	}
	return out
}

// routers asks each router for its MAC address, through the exception path, and
// for BGP.
func (r *run) routers(ctx context.Context) {
	all := r.routerList()
	if len(all) == 0 {
		r.skip("routers", "none is known")
	}
	for _, router := range all {
		at, from, established := r.bgpOf(router)
		arp, tcp := "router "+router.String(), "TCP "+at.String()
		if why := r.down["north"]; why != "" {
			r.fail(arp, "", "not reachable: %s", why)
			r.skip(tcp, "not tried: %s", why)
			continue
		}
		if err := r.resolve(ctx, router); err != nil {
			r.mute[router] = true
			r.fail(arp, "is the router up, in this VLAN, with this address? capture north shows what comes in", "does not answer ARP or ND on %s: %v", r.iface("north"), err)
			r.skip(tcp, "not tried: the router does not answer")
			continue
		}
		r.ok(arp, "answers ARP or ND; the exception path works")
		if established {
			r.ok(tcp, "a session from %s is established", from)
			continue
		}
		r.tcp(ctx, tcp, from, at)
	}
}

func (r *run) resolve(ctx context.Context, a netip.Addr) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	return r.net.Resolve(ctx, r.iface("north"), a)
}

// bgpOf is where a router listens, and the address that a session with it is
// from: routers often answer no other.
func (r *run) bgpOf(router netip.Addr) (at netip.AddrPort, from netip.Addr, up bool) {
	at = netip.AddrPortFrom(router, bgpPort)
	for _, b := range r.f.Node.GetBgp() {
		if b.Peer != router.String() || up {
			continue
		}
		if b.Port != 0 {
			at = netip.AddrPortFrom(router, uint16(b.Port))
		}
		from, _ = netip.ParseAddr(b.Source) // invalid: from any address
		up = b.State == established
	}
	return at, from, up
}

const established = "established"

// tcp tries to reach BGP of a router.
func (r *run) tcp(ctx context.Context, name string, from netip.Addr, at netip.AddrPort) {
	ctx, cancel := limited(ctx)
	defer cancel()
	err := r.net.Connect(ctx, from, at)
	r.mute[at.Addr()] = err != nil
	switch {
	case err == nil:
		r.ok(name, "connects")
	case errors.Is(err, syscall.ECONNREFUSED):
		r.fail(name, "start BGP on the router; it must listen on this address", "the router refuses: nothing listens there")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		r.fail(name, "add it to machine.north.addresses in node.yaml", "%s, the session's source, is not on this node", from)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		r.fail(name, "look for a filter on the router; a router that wants a TCP MD5 password does not answer here either", "no answer, although the router answers ARP")
	default:
		r.fail(name, "see: bgp", "%v", err)
	}
}

// sessions tells why each BGP session that should be there is not.
func (r *run) sessions(context.Context) {
	switch n := r.f.Node; {
	case n == nil:
		r.skip("BGP", "sessions are not known: %v", r.f.NodeErr)
	case len(n.Bgp) == 0:
		r.skip("BGP", "this node has no sessions now")
	default:
		for _, b := range n.Bgp {
			r.session(b)
		}
	}
}

func (r *run) session(b *api.BgpSession) {
	name := "BGP for " + b.Advertises + " with " + b.Peer
	router, _ := netip.ParseAddr(b.Peer) // invalid: nothing was said of it
	switch {
	case b.State == established:
		r.ok(name, "established from %s, %d prefixes", b.Source, b.Prefixes)
	case r.down["north"] != "":
		r.fail(name, "", "%s: %s", b.State, r.down["north"])
	case r.mute[router]:
		r.fail(name, "", "%s: %s", b.State, first(b.Reason, "see above"))
	case b.Reason != "":
		r.fail(name, "compare AS numbers, addresses and passwords of both sides", "%s: %s", b.State, b.Reason)
	default:
		r.fail(name, "see: logs noded", "%s", b.State)
	}
}
