package main

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"weir/services/config"
)

// sources are the addresses of the BGP sessions that a node may come to hold.
func sources(c *config.Cluster, nodeID string) []netip.Addr {
	m := c.Member(nodeID)
	if len(c.Routers) == 0 || !m.Has(config.RoleIngress) {
		return nil
	}
	out := []netip.Addr{m.North}
	for _, a := range []netip.Addr{m.Slots.Left, m.Slots.Right} {
		if a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

// checkSources makes sure that the addresses of the BGP sessions are on the
// exception interface. noded does not add them: who made the interface owns
// them (init, or the lab).
func checkSources(name string, sources []netip.Addr) error {
	if len(sources) == 0 {
		return nil
	}
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("interface %s, which carries the BGP source addresses, is not there; create it, or set bgp.interface in node.yaml", name)
	}
	have, err := ifc.Addrs()
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", name, err)
	}
	var missing []string
	for _, s := range sources {
		if !slices.ContainsFunc(have, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && p.Addr() == s
		}) {
			missing = append(missing, s.String())
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("BGP source address %s is not on %s; add it: ip address add %s/PREFIX dev %s",
			strings.Join(missing, ", "), name, missing[0], name)
	}
	return nil
}
