package labtest

import (
	"context"
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

// everyNodeAnnounced checks S-60: exactly two sessions per node, one from each
// of its neighbours.
func everyNodeAnnounced() error { return theLab.Announced() }

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
