package neighbour

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"weir/dataplane/packet"
	"weir/qemu/netns"
	"weir/qemu/netns/nstest"
)

// The tests run in a namespace with two cables to another, north0-north1 and
// south0-south1.
func TestMain(m *testing.M) { nstest.Pair(m, nil) }

func start(t *testing.T) (m *Mirror, changes chan struct{}) {
	t.Helper()
	for side, prefix := range map[string]string{"north": "10.71.0.", "south": "10.72.0."} {
		nstest.Must(t, netns.Veth(nstest.Home, side+"0", nstest.Away, side+"1", 1500))
		t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, side+"0")) })
		nstest.Must(t, netns.Address(nstest.Home, side+"0", netip.MustParsePrefix(prefix+"1/24")))
		nstest.Must(t, netns.Address(nstest.Away, side+"1", netip.MustParsePrefix(prefix+"2/24")))
	}
	changes = make(chan struct{}, 64)
	m, err := New([packet.NumPorts]string{"north0", "south0"}, func() { changes <- struct{}{} })
	nstest.Must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		nstest.Must(t, <-ended)
	})
	return m, changes
}

func hardware(t *testing.T, link string) [6]byte {
	t.Helper()
	mac, err := netns.MAC(nstest.Away, link)
	nstest.Must(t, err)
	return [6]byte(mac)
}

func TestNextHopsAreResolvedAndFollowed(t *testing.T) {
	m, changes := start(t)
	router := Target{netip.MustParseAddr("10.71.0.2"), packet.North}
	server := Target{netip.MustParseAddr("10.72.0.2"), packet.South}
	behind := Target{netip.MustParseAddr("10.99.0.7"), packet.South}
	absent := Target{netip.MustParseAddr("10.72.0.77"), packet.South}
	noRoute := Target{netip.MustParseAddr("10.98.0.1"), packet.South}
	wrongSide := Target{netip.MustParseAddr("10.71.0.2"), packet.South}
	nstest.Must(t, netns.Route(nstest.Home, "south0", netip.MustParsePrefix("10.99.0.0/24"), netip.MustParseAddr("10.72.0.2")))
	m.SetTargets([]Target{router, server, behind, absent, noRoute, wrongSide})

	south := hardware(t, "south1")
	nstest.Eventually(t, "all that exist are resolved", func() bool {
		return m.MAC(router) == hardware(t, "north1") && m.MAC(server) == south && m.MAC(behind) == south
	})
	<-changes
	for _, x := range []Target{absent, noRoute, wrongSide} {
		if m.MAC(x) != [6]byte{} {
			t.Errorf("%v has address %x", x, m.MAC(x))
		}
	}
	for _, e := range m.Entries() {
		if e.Target == behind && e.NextHop != server.Addr {
			t.Errorf("next hop of %v is %v", behind.Addr, e.NextHop)
		}
		if e.Target == noRoute && e.State != "no route" {
			t.Errorf("%v is %q", noRoute.Addr, e.State)
		}
	}

	// Another machine takes the address over and says so.
	now := [6]byte{2, 0x77, 0, 0, 0, 9}
	nstest.Must(t, netns.Do(nstest.Away, func() error {
		l, err := netlink.LinkByName("south1")
		if err != nil {
			return err
		}
		return netlink.LinkSetHardwareAddr(l, net.HardwareAddr(now[:]))
	}))
	nstest.Must(t, netns.Do(nstest.Home, func() error {
		l, err := netlink.LinkByName("south0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: server.Addr.AsSlice(), State: netlink.NUD_STALE, HardwareAddr: now[:]})
	}))
	nstest.Eventually(t, "the new address is known", func() bool { return m.MAC(server) == now && m.MAC(behind) == now })

	// A next hop that stops to answer keeps its address.
	nstest.Must(t, netns.Do(nstest.Home, func() error {
		l, err := netlink.LinkByName("south0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: server.Addr.AsSlice(), State: netlink.NUD_FAILED})
	}))
	m.SetTargets([]Target{server})
	nstest.Eventually(t, "only one target is left", func() bool { return len(m.Entries()) == 1 })
	if m.MAC(server) != now || m.MAC(router) != [6]byte{} {
		t.Errorf("server %x, router %x", m.MAC(server), m.MAC(router))
	}
}

func TestAnAbsentInterfaceIsAnError(t *testing.T) {
	if _, err := New([packet.NumPorts]string{"absent0", "absent1"}, nil); err == nil {
		t.Error("a mirror of no interface")
	}
}
