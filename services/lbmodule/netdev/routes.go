package netdev

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var families = [...]int{netlink.FAMILY_V4, netlink.FAMILY_V6}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

func hostNet(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

// syncAddresses makes the link hold exactly the public addresses.
func syncAddresses(l netlink.Link, want []netip.Addr) error {
	missing := make(map[netip.Addr]bool, len(want))
	for _, a := range want {
		missing[a] = true
	}
	have, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses of interface %s: %w", l.Attrs().Name, err)
	}
	for i := range have {
		a, _ := netip.AddrFromSlice(have[i].IP)
		if a = a.Unmap(); missing[a] {
			delete(missing, a)
			continue
		}
		if err := netlink.AddrDel(l, &have[i]); err != nil {
			return fmt.Errorf("remove address %s from interface %s: %w", a, l.Attrs().Name, err)
		}
	}
	for a := range missing {
		addr := &netlink.Addr{IPNet: hostNet(a), Flags: unix.IFA_F_NOPREFIXROUTE}
		if a.Is6() {
			addr.Flags |= unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("add public address %s to interface %s: %w", a, l.Attrs().Name, err)
		}
	}
	return nil
}

// syncRoutes leads what comes from a public address into the pair: one rule per
// address, and one default route per family in the module's own table. The
// same rules let strict reverse-path filtering pass what comes out of the pair.
func syncRoutes(l netlink.Link, addresses []netip.Addr) error {
	for _, family := range families {
		var want []netip.Addr
		for _, a := range addresses {
			if familyOf(a) == family {
				want = append(want, a)
			}
		}
		if len(want) > 0 {
			if err := netlink.RouteReplace(defaultRoute(l, family)); err != nil {
				return fmt.Errorf("add the default route of table %d: %w", Table, err)
			}
		}
		if err := syncRules(family, want); err != nil {
			return err
		}
	}
	return nil
}

func defaultRoute(l netlink.Link, family int) *netlink.Route {
	dst := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if family == netlink.FAMILY_V6 {
		dst = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	return &netlink.Route{LinkIndex: l.Attrs().Index, Table: Table, Dst: dst, Family: family, Scope: netlink.SCOPE_LINK}
}

func syncRules(family int, want []netip.Addr) error {
	have, err := rules(family)
	if err != nil {
		return err
	}
	there := make(map[netip.Addr]bool, len(have))
	for _, r := range have {
		there[sourceOf(&r)] = true
	}
	keep := make(map[netip.Addr]bool, len(want))
	for _, a := range want {
		keep[a] = true
		if there[a] {
			continue
		}
		r := netlink.NewRule()
		r.Family, r.Table, r.Priority, r.Src = family, Table, Table, hostNet(a)
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add the routing rule for %s: %w", a, err)
		}
	}
	return removeRules(family, keep)
}

// removeRules removes the module's rules but those for the addresses to keep.
func removeRules(family int, keep map[netip.Addr]bool) error {
	have, err := rules(family)
	if err != nil {
		return err
	}
	for i := range have {
		if keep[sourceOf(&have[i])] {
			continue
		}
		if err := netlink.RuleDel(&have[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove the routing rule for %s: %w", have[i].Src, err)
		}
	}
	return nil
}

// rules are the module's own.
func rules(family int) ([]netlink.Rule, error) {
	all, err := netlink.RuleListFiltered(family, &netlink.Rule{Table: Table}, netlink.RT_FILTER_TABLE)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, fmt.Errorf("list routing rules: %w", err)
	}
	var ours []netlink.Rule
	for _, r := range all {
		if r.Priority == Table && r.Src != nil {
			r.Family = family
			ours = append(ours, r)
		}
	}
	return ours, nil
}

func sourceOf(r *netlink.Rule) netip.Addr {
	a, _ := netip.AddrFromSlice(r.Src.IP)
	return a.Unmap()
}
