// Package network makes the node's kernel interfaces (the phase "network"): the
// control network, the exception interfaces of the packet processor (S-85), and,
// for a configuration that has to be fetched, any network that there is.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/init/sysfs"
)

// prepare sets options of an interface before it is brought up: no strangers'
// routes, no waiting for duplicate addresses (a node's are its configuration's).
func prepare(name string) {
	for _, option := range []string{"accept_ra", "accept_dad", "autoconf"} {
		_ = sysfs.Write(filepath.Join("/proc/sys/net/ipv6/conf", name, option), "0") // a kernel may have no IPv6
	}
}

func up(name string) (netlink.Link, error) {
	prepare(name)
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("bring %s up: %w", name, err)
	}
	return link, nil
}

// address gives an interface an address. One that it has is no error.
func address(link netlink.Link, p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrReplace(link, a); err != nil {
		return fmt.Errorf("give %s the address %s: %w", link.Attrs().Name, p, err)
	}
	return nil
}

// defaultRoute of one side. The side with the lowest metric is used by what has
// no address yet; what speaks from an address of a side goes by that side's
// table, whichever the metric, so answers leave where questions came in.
func defaultRoute(link netlink.Link, side side, gateway netip.Addr, addresses []netip.Prefix) error {
	family := netlink.FAMILY_V4
	any := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if gateway.Is6() {
		family, any = netlink.FAMILY_V6, &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	index := link.Attrs().Index
	routes := []netlink.Route{
		{LinkIndex: index, Dst: any, Gw: gateway.AsSlice(), Priority: side.metric},
		{LinkIndex: index, Dst: any, Gw: gateway.AsSlice(), Table: side.table},
	}
	var rules []*netlink.Rule
	for _, p := range addresses {
		if p.Addr().Is6() != gateway.Is6() {
			continue
		}
		routes = append(routes, netlink.Route{LinkIndex: index, Dst: ipNet(p.Masked()), Table: side.table, Scope: netlink.SCOPE_LINK})
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table = family, side.table, side.table
		r.Src = ipNet(netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		rules = append(rules, r)
	}
	// Connected networks first: a gateway must be in one.
	for i := len(routes) - 1; i >= 0; i-- {
		if err := netlink.RouteReplace(&routes[i]); err != nil {
			return fmt.Errorf("route by %s over %s: %w", gateway, link.Attrs().Name, err)
		}
	}
	for _, r := range rules {
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("route what comes from %s by %s: %w", r.Src, gateway, err)
		}
	}
	return nil
}

// side is one of the node's networks in the routing tables.
type side struct {
	metric int // of its default route in the main table
	table  int // of its own, and its rules' priority
}

var (
	northSide   = side{100, 101}
	southSide   = side{200, 102}
	controlSide = side{300, 103}
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// useLease applies a lease; the address that it replaces goes.
func useLease(name string, l Lease, old netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := address(link, l.Address); err != nil {
		return err
	}
	if old.IsValid() && old != l.Address {
		_ = netlink.AddrDel(link, &netlink.Addr{IPNet: ipNet(old)}) // gone already, perhaps
	}
	if l.Gateway.IsValid() {
		if err := defaultRoute(link, controlSide, l.Gateway, []netip.Prefix{l.Address}); err != nil {
			return err
		}
	}
	return useDNS(l.DNS)
}

// useDNS says which name servers to ask, if there are any.
func useDNS(servers []netip.Addr) error {
	if len(servers) == 0 {
		return nil
	}
	var b strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	return os.WriteFile("/etc/resolv.conf", []byte(b.String()), 0o644)
}

// forget takes all addresses from an interface, and brings it down.
func forget(name string) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return // it went away by itself
	}
	addrs, _ := netlink.AddrList(link, netlink.FAMILY_ALL)
	for i := range addrs {
		_ = netlink.AddrDel(link, &addrs[i])
	}
	_ = netlink.LinkSetDown(link)
}
