package check

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"weir/qemu/netns"
	"weir/qemu/netns/nstest"
)

func TestMain(m *testing.M) { nstest.Pair(m, nil) }

// cable connects the namespaces: 10.9.0.1 at home, 10.9.0.2 away.
func cable(t *testing.T) {
	t.Helper()
	for _, ns := range []string{nstest.Home, nstest.Away} {
		for _, of := range []string{"all", "default"} { // an address is used at once
			nstest.Must(t, netns.Sysctl(ns, "net/ipv6/conf/"+of+"/accept_dad", "0"))
		}
	}
	for _, err := range []error{
		netns.Veth(nstest.Home, "near", nstest.Away, "far", 1500),
		netns.Address(nstest.Home, "near", netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("fd09::1/64")),
		netns.Address(nstest.Away, "far", netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("fd09::2/64")),
		netns.Up(nstest.Home, "near"), netns.Up(nstest.Away, "far"),
		netns.DefaultRoute(nstest.Home, "near", peer),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { netns.DeleteLink(nstest.Home, "near") })
	// The kernel takes note of a carrier late on a busy machine, and gives the
	// addresses to nobody before.
	for ns, name := range map[string]string{nstest.Home: "near", nstest.Away: "far"} {
		nstest.Eventually(t, name+" is up", func() (up bool) {
			nstest.Must(t, netns.Do(ns, func() error {
				l, err := netlink.LinkByName(name)
				up = err == nil && l.Attrs().OperState == netlink.OperUp
				return err
			}))
			return up
		})
	}
}

var (
	peer   = netip.MustParseAddr("10.9.0.2")
	peer6  = netip.MustParseAddr("fd09::2")
	nobody = netip.MustParseAddr("10.9.0.77")
)

func TestNeighboursAreProbed(t *testing.T) {
	cable(t)
	s := System{}
	for range 2 { // unknown, and known already
		if err := s.Resolve(t.Context(), "near", peer); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := limited(t.Context())
	defer cancel()
	if err := s.Resolve(ctx, "near", nobody); err == nil {
		t.Error("nobody answers")
	}
	// What answered a moment ago, and does not any more, is noticed.
	if err := netns.SetMAC(nstest.Away, "far", net.HardwareAddr{2, 0, 0, 0, 0, 9}); err != nil {
		t.Fatal(err)
	}
	if err := netns.Down(nstest.Away, "far"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = limited(t.Context())
	defer cancel()
	if err := s.Resolve(ctx, "near", peer); err == nil {
		t.Error("a neighbour that is gone answers")
	}
	if err := s.Resolve(t.Context(), "missing", peer); err == nil {
		t.Error("through an interface that is not there")
	}
}

func TestPingsOfEverySize(t *testing.T) {
	cable(t)
	s := System{}
	for _, to := range []netip.Addr{peer, peer6} {
		for _, size := range []int{smallPing, 1500} {
			ctx, cancel := limited(t.Context())
			if err := s.Ping(ctx, to, size); err != nil {
				t.Errorf("%s, %d bytes: %v", to, size, err)
			}
			cancel()
		}
	}
	ctx, cancel := limited(t.Context())
	defer cancel()
	if err := s.Ping(ctx, peer, 1501); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("more than the MTU: %v", err)
	}
	if err := s.Ping(ctx, nobody, smallPing); err == nil {
		t.Error("nobody answers")
	}
}

func TestConnectTellsRefusedFromOpen(t *testing.T) {
	cable(t)
	l, err := netns.Listen(nstest.Away, "tcp", "10.9.0.2:179")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, from := System{}, netip.MustParseAddr("10.9.0.1")
	if err := s.Connect(t.Context(), from, netip.AddrPortFrom(peer, 179)); err != nil {
		t.Error(err)
	}
	if err := s.Connect(t.Context(), from, netip.AddrPortFrom(peer, 180)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v", err)
	}
	if err := s.Connect(t.Context(), nobody, netip.AddrPortFrom(peer, 179)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("from an address that is not here: %v", err)
	}
}

func TestInterfacesAreRead(t *testing.T) {
	cable(t)
	s := System{}
	if mtu, err := s.MTU("near"); mtu != 1500 || err != nil {
		t.Errorf("%d, %v", mtu, err)
	}
	if g, err := s.Gateways("near"); len(g) != 1 || g[0] != peer || err != nil {
		t.Errorf("%v, %v", g, err)
	}
	if _, err := s.MTU("missing"); err == nil {
		t.Error("the MTU of nothing")
	}
}

func TestASilentClockServerIsAnError(t *testing.T) {
	cable(t)
	ctx, cancel := context.WithTimeout(t.Context(), Timeout/10)
	defer cancel()
	if off, err := (System{}).ClockOffset(ctx, peer); err == nil {
		t.Errorf("%v from nobody", off)
	}
}
