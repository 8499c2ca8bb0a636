package neighbour

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"weir/dataplane/packet"
	"weir/qemu/netns"
)

// home is the namespace that the tests run in, away the one at the other end
// of its two cables, north0-north1 and south0-south1.
var (
	home = os.Getenv("WEIR_NEIGHBOUR_TEST")
	away = home + "-away"
)

func TestMain(m *testing.M) {
	if home != "" {
		os.Exit(m.Run())
	}
	os.Exit(inNamespace(fmt.Sprintf("nbrt-%d", os.Getpid())))
}

func inNamespace(name string) int {
	for _, ns := range []string{name, name + "-away"} {
		if err := netns.Add(ns); err != nil {
			fmt.Fprintln(os.Stderr, "these tests need root:", err)
			return 1
		}
		defer netns.Delete(ns)
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), "WEIR_NEIGHBOUR_TEST="+name)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	err := netns.Start(name, c)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "in the namespace:", err)
		return 1
	}
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute not: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func start(t *testing.T) (m *Mirror, changes chan struct{}) {
	t.Helper()
	for side, prefix := range map[string]string{"north": "10.71.0.", "south": "10.72.0."} {
		must(t, netns.Veth(home, side+"0", away, side+"1", 1500))
		t.Cleanup(func() { must(t, netns.DeleteLink(home, side+"0")) })
		must(t, netns.Address(home, side+"0", netip.MustParsePrefix(prefix+"1/24")))
		must(t, netns.Address(away, side+"1", netip.MustParsePrefix(prefix+"2/24")))
	}
	changes = make(chan struct{}, 64)
	m, err := New([packet.NumPorts]string{"north0", "south0"}, func() { changes <- struct{}{} })
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	return m, changes
}

func hardware(t *testing.T, link string) [6]byte {
	t.Helper()
	mac, err := netns.MAC(away, link)
	must(t, err)
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
	must(t, netns.Route(home, "south0", netip.MustParsePrefix("10.99.0.0/24"), netip.MustParseAddr("10.72.0.2")))
	m.SetTargets([]Target{router, server, behind, absent, noRoute, wrongSide})

	south := hardware(t, "south1")
	eventually(t, "all that exist are resolved", func() bool {
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
	must(t, netns.Do(away, func() error {
		l, err := netlink.LinkByName("south1")
		if err != nil {
			return err
		}
		return netlink.LinkSetHardwareAddr(l, net.HardwareAddr(now[:]))
	}))
	must(t, netns.Do(home, func() error {
		l, err := netlink.LinkByName("south0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: server.Addr.AsSlice(), State: netlink.NUD_STALE, HardwareAddr: now[:]})
	}))
	eventually(t, "the new address is known", func() bool { return m.MAC(server) == now && m.MAC(behind) == now })

	// A next hop that stops to answer keeps its address.
	must(t, netns.Do(home, func() error {
		l, err := netlink.LinkByName("south0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: server.Addr.AsSlice(), State: netlink.NUD_FAILED})
	}))
	m.SetTargets([]Target{server})
	eventually(t, "only one target is left", func() bool { return len(m.Entries()) == 1 })
	if m.MAC(server) != now || m.MAC(router) != [6]byte{} {
		t.Errorf("server %x, router %x", m.MAC(server), m.MAC(router))
	}
}

func TestAnAbsentInterfaceIsAnError(t *testing.T) {
	if _, err := New([packet.NumPorts]string{"absent0", "absent1"}, nil); err == nil {
		t.Error("a mirror of no interface")
	}
}
