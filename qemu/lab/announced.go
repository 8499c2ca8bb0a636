package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"weir/qemu/topology"
)

// Announcements asks the router which sessions announce which next hop for a
// public address.
func Announcements(vip netip.Addr) (map[netip.Addr][]netip.Addr, error) {
	family := "ipv4"
	if vip.Is6() {
		family = "ipv6"
	}
	out, err := Vtysh(fmt.Sprintf("show bgp %s unicast %v/%d json", family, vip, vip.BitLen()))
	if err != nil {
		return nil, err
	}
	var route struct {
		Paths []struct {
			Valid    bool
			NextHops []struct{ IP netip.Addr }
			Peer     struct{ PeerID netip.Addr }
		}
	}
	if err := json.Unmarshal([]byte(out), &route); err != nil {
		return nil, fmt.Errorf("understand %q: %w", out, err)
	}
	found := map[netip.Addr][]netip.Addr{}
	for _, p := range route.Paths {
		if !p.Valid {
			continue
		}
		for _, hop := range p.NextHops {
			if !hop.IP.IsLinkLocalUnicast() {
				found[hop.IP] = append(found[hop.IP], p.Peer.PeerID)
			}
		}
	}
	return found, nil
}

// Announced checks S-60 for the ring without the absent nodes: the neighbours
// of every node announce it, with fewer than three nodes also itself, and
// nobody announces anything else.
func (l *Lab) Announced(absent ...string) error {
	ring := slices.DeleteFunc(slices.Clone(l.Top.Nodes), func(n topology.Node) bool { return slices.Contains(absent, n.ID) })
	vip := l.Top.VIPs[0]
	for _, addr := range []netip.Addr{vip.Address, vip.Address6} {
		found, err := Announcements(addr)
		if err != nil {
			return err
		}
		for i, n := range ring {
			hop := n.North.Addr()
			if addr.Is6() {
				hop = n.North6.Addr()
			}
			var speakers []string
			for _, peer := range found[hop] {
				speakers = append(speakers, ownerOf(ring, peer))
			}
			want := []string{ring[(i+len(ring)-1)%len(ring)].ID, ring[(i+1)%len(ring)].ID}
			if len(ring) < 3 {
				want = append(want, n.ID)
			}
			slices.Sort(speakers)
			slices.Sort(want)
			if want = slices.Compact(want); !slices.Equal(speakers, want) {
				return fmt.Errorf("%s is announced for %v by %v, want %v", n.ID, addr, speakers, want)
			}
		}
		if len(found) != len(ring) {
			return fmt.Errorf("%v has %d next hops, want %d: %v", addr, len(found), len(ring), found)
		}
	}
	return nil
}

// ownerOf is the node whose address it is, or the address.
func ownerOf(nodes []topology.Node, a netip.Addr) string {
	for _, n := range nodes {
		if a == n.Left.Addr() || a == n.Right.Addr() || a == n.North.Addr() {
			return n.ID
		}
	}
	return a.String()
}
