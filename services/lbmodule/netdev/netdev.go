// Package netdev owns the module's place in the server's networking: one veth
// pair, the public addresses on it, and the rules and routes that lead replies
// into it. Nothing else on the server is touched (S-26).
package netdev

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Table is the module's routing table and the priority of its rules.
const Table = 6080

// Overhead is what the tunnel adds to a packet, in bytes: IPv4 and UDP.
const Overhead = 28

// gsoMax bounds the kernel's super-packets so that one fits an IPv4 length
// field with its tunnel headers.
const gsoMax = 65000

// Config says what there should be.
type Config struct {
	Name      string // weir0
	MTU       int    // of the fabric, bytes
	Addresses []netip.Addr
	Mark      Mark
}

// Pair is the module's interface and the agent's end of it.
type Pair struct {
	Name      string
	PeerName  string
	Index     int
	PeerIndex int
	MAC       [6]byte
}

// PeerName is the name of the agent's end: weir1 beside weir0.
func PeerName(name string) string {
	if n := len(name) - 1; n > 0 && name[n] == '0' {
		return name[:n] + "1"
	}
	return name + "p"
}

// Exists reports whether the pair is there: an earlier agent made it.
func Exists(name string) bool {
	l, err := netlink.LinkByName(name)
	return err == nil && l.Type() == "veth"
}

// Ensure makes the pair if it is missing and brings everything else to what
// cfg says. Doing it twice changes nothing.
func Ensure(cfg *Config) (*Pair, error) {
	own, peer, err := ensurePair(cfg)
	if err != nil {
		return nil, err
	}
	p := &Pair{Name: cfg.Name, PeerName: PeerName(cfg.Name), Index: own.Attrs().Index, PeerIndex: peer.Attrs().Index}
	copy(p.MAC[:], own.Attrs().HardwareAddr)
	if err := mark(own, cfg.Mark); err != nil {
		return nil, err
	}
	if err := syncAddresses(own, cfg.Addresses); err != nil {
		return nil, err
	}
	if err := syncRoutes(own, cfg.Addresses); err != nil {
		return nil, err
	}
	return p, nil
}

// Remove takes everything away that Ensure made. What is gone already is no error.
func Remove(name string) error {
	var errs []error
	for _, family := range families {
		if err := removeRules(family, nil); err != nil {
			errs = append(errs, err)
		}
	}
	if l, err := netlink.LinkByName(name); err == nil && l.Type() == "veth" {
		// Addresses and routes go with it.
		if err := netlink.LinkDel(l); err != nil {
			errs = append(errs, fmt.Errorf("remove interface %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func ensurePair(cfg *Config) (own, peer netlink.Link, err error) {
	peerName := PeerName(cfg.Name)
	if !Exists(cfg.Name) {
		if err := createPair(cfg.Name, peerName); err != nil {
			return nil, nil, err
		}
	}
	if own, err = netlink.LinkByName(cfg.Name); err != nil {
		return nil, nil, fmt.Errorf("find interface %s: %w", cfg.Name, err)
	}
	if peer, err = netlink.LinkByName(peerName); err != nil {
		return nil, nil, fmt.Errorf("interface %s is there without its other end %s; remove it with: ip link del %s", cfg.Name, peerName, cfg.Name)
	}
	for _, l := range []netlink.Link{own, peer} {
		if err := prepare(l, cfg.MTU-Overhead); err != nil {
			return nil, nil, err
		}
	}
	return own, peer, nil
}

func createPair(name, peerName string) error {
	if len(name) >= unix.IFNAMSIZ || len(peerName) >= unix.IFNAMSIZ {
		return fmt.Errorf("interface name %q is too long: 14 characters at most", name)
	}
	la := netlink.NewLinkAttrs()
	la.Name = name
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: peerName})
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("create interface %s: %w; run lbmodule as root", name, err)
	case err != nil:
		return fmt.Errorf("create interfaces %s and %s: %w", name, peerName, err)
	}
	return nil
}

// prepare sets one end: no ARP, no addresses of its own making, up.
func prepare(l netlink.Link, mtu int) error {
	a := l.Attrs()
	if err := quietIPv6(a.Name); err != nil {
		return err
	}
	steps := []struct {
		what   string
		needed bool
		do     func() error
	}{
		{"mtu", a.MTU != mtu, func() error { return netlink.LinkSetMTU(l, mtu) }},
		{"gso_max_size", a.GSOMaxSize != gsoMax, func() error { return netlink.LinkSetGSOMaxSize(l, gsoMax) }},
		{"arp off", a.RawFlags&unix.IFF_NOARP == 0, func() error { return netlink.LinkSetARPOff(l) }},
		{"up", a.Flags&net.FlagUp == 0, func() error { return netlink.LinkSetUp(l) }},
	}
	for _, s := range steps {
		if !s.needed {
			continue
		}
		if err := s.do(); err != nil {
			return fmt.Errorf("set %s of interface %s: %w", s.what, a.Name, err)
		}
	}
	return nil
}

// quietIPv6 keeps link-local addresses and router solicitations off the pair.
// These settings belong to our own interface and go with it.
func quietIPv6(name string) error {
	dir := "/proc/sys/net/ipv6/conf/" + name
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil // a kernel without IPv6
	}
	for _, s := range []struct{ key, value string }{
		{"addr_gen_mode", "1"}, {"accept_ra", "0"}, {"disable_ipv6", "0"},
	} {
		if err := os.WriteFile(filepath.Join(dir, s.key), []byte(s.value), 0); err != nil {
			return fmt.Errorf("set %s of interface %s: %w", s.key, name, err)
		}
	}
	return nil
}
