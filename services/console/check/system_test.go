package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"weir/qemu/netns"
)

// here is the namespace that these tests run in, there the one at the other end
// of its cable.
var (
	here  = os.Getenv("WEIR_CHECK_TEST")
	there = here + "-there"
)

func TestMain(m *testing.M) {
	if here != "" {
		os.Exit(m.Run())
	}
	os.Exit(inNamespace(fmt.Sprintf("chkt-%d", os.Getpid())))
}

func inNamespace(name string) int {
	for _, ns := range []string{name, name + "-there"} {
		if err := netns.Add(ns); err != nil {
			fmt.Fprintln(os.Stderr, "these tests need root:", err)
			return 1
		}
		defer netns.Delete(ns)
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), "WEIR_CHECK_TEST="+name)
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

// cable connects the namespaces: 10.9.0.1 here, 10.9.0.2 there.
func cable(t *testing.T) {
	t.Helper()
	const dad = "net/ipv6/conf/default/accept_dad" // an address is used at once
	for _, err := range []error{
		netns.Sysctl(here, dad, "0"), netns.Sysctl(there, dad, "0"),
		netns.Veth(here, "near", there, "far", 1500),
		netns.Address(here, "near", netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("fd09::1/64")),
		netns.Address(there, "far", netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("fd09::2/64")),
		netns.Up(here, "near"), netns.Up(there, "far"),
		netns.DefaultRoute(here, "near", peer),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { netns.DeleteLink(here, "near") })
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
	if err := netns.SetMAC(there, "far", net.HardwareAddr{2, 0, 0, 0, 0, 9}); err != nil {
		t.Fatal(err)
	}
	if err := netns.Down(there, "far"); err != nil {
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
	l, err := netns.Listen(there, "tcp", "10.9.0.2:179")
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
