package labtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
	"weir/qemu/traffic"
)

// announcers asks the router which sessions announce which next hop for a
// public address.
func announcers(vip netip.Addr) (map[netip.Addr][]netip.Addr, error) {
	family := "ipv4"
	if vip.Is6() {
		family = "ipv6"
	}
	out, err := lab.Vtysh(fmt.Sprintf("show bgp %s unicast %v/%d json", family, vip, vip.BitLen()))
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

// neighbours returns the nodes before and after the i-th in the ring.
func neighboursOf(i int) []topology.Node {
	nodes := theLab.Top.Nodes
	return []topology.Node{nodes[(i+len(nodes)-1)%len(nodes)], nodes[(i+1)%len(nodes)]}
}

// everyNodeAnnounced checks S-60: exactly two sessions per node, one from each
// of its neighbours.
func everyNodeAnnounced() error {
	for _, vip := range []netip.Addr{web4().Addr(), web6().Addr()} {
		found, err := announcers(vip)
		if err != nil {
			return err
		}
		for i, n := range theLab.Top.Nodes {
			hop := n.North.Addr()
			if vip.Is6() {
				hop = n.North6.Addr()
			}
			peers := found[hop]
			if len(peers) != 2 {
				return fmt.Errorf("%d sessions announce %s for %v, want 2: %v", len(peers), n.ID, vip, peers)
			}
			for _, neighbour := range neighboursOf(i) {
				if !slices.ContainsFunc(peers, func(p netip.Addr) bool { return p == neighbour.Left.Addr() || p == neighbour.Right.Addr() }) {
					return fmt.Errorf("%s is announced by %v, but not by its neighbour %s", n.ID, peers, neighbour.ID)
				}
			}
		}
		if len(found) != len(theLab.Top.Nodes) {
			return fmt.Errorf("%v has %d next hops, want %d: %v", vip, len(found), len(theLab.Top.Nodes), found)
		}
	}
	return nil
}

func TestEveryNodeIsAnnouncedByItsTwoNeighbours(t *testing.T) {
	eventually(t, 20*time.Second, everyNodeAnnounced)
}

func TestTheRouterSpreadsOverEveryNode(t *testing.T) {
	for _, vip := range []netip.Addr{web4().Addr(), web6().Addr()} {
		eventually(t, 20*time.Second, func() error {
			hops, err := lab.NextHops(vip)
			if err != nil {
				return err
			}
			for _, n := range theLab.Top.Nodes {
				if !slices.Contains(hops, n.North.Addr()) && !slices.Contains(hops, n.North6.Addr()) {
					return fmt.Errorf("the kernel route to %v lacks %s: %v", vip, n.ID, hops)
				}
			}
			if len(hops) != len(theLab.Top.Nodes) {
				return fmt.Errorf("the kernel route to %v has next hops %v, want one per node", vip, hops)
			}
			return nil
		})
	}
}

// Without a dataplane the exception path is dead, and BGP with it (S-85). The
// other nodes keep the stopped one's neighbours from noticing anything else:
// its own sessions go, those about it stay with its neighbours.
func TestBGPThroughAStoppedDataplaneIsDown(t *testing.T) {
	stopped := theLab.Top.Nodes[0]
	if err := theLab.Stop(stopped.ID, "dataplane", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := theLab.Start(stopped.ID, "dataplane"); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, everyNodeAnnounced)
		eventually(t, 30*time.Second, allServed)
	})
	eventually(t, 15*time.Second, func() error {
		sessions, err := lab.Sessions()
		if err != nil {
			return err
		}
		for _, s := range sessions {
			own := s.Peer == stopped.Left.Addr() || s.Peer == stopped.Right.Addr() || s.Peer == stopped.North.Addr()
			if own && s.State == "Established" {
				return fmt.Errorf("the session from %v of %s is still established", s.Peer, stopped.ID)
			}
		}
		return nil
	})
}

// allServed checks that new connections succeed through every node.
func allServed() error {
	impatient := traffic.Client{Namespace: topology.ClientName, Timeout: 5 * time.Second}
	tally := impatient.Requests(context.Background(), []netip.AddrPort{web4(), web6()}, 60, 4)
	if len(tally.Lost) > 0 {
		return tally.Lost[0]
	}
	return nil
}
