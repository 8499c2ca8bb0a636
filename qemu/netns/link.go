package netns

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
)

// handle opens a netlink socket in the namespace.
func handle(name string) (*netlink.Handle, error) {
	ns, err := vns.GetFromPath(Path(name))
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", name, err)
	}
	return h, nil
}

// Bridge makes a bridge that forwards and learns, nothing else, and raises it.
func Bridge(ns, name string, mtu int) error {
	h, err := handle(ns)
	if err != nil {
		return err
	}
	defer h.Close()
	snooping := false
	b := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu}, MulticastSnooping: &snooping}
	if err := h.LinkAdd(b); err != nil {
		return fmt.Errorf("make bridge %s in %s: %w", name, ns, err)
	}
	if err := h.LinkSetUp(b); err != nil {
		return fmt.Errorf("raise bridge %s in %s: %w", name, ns, err)
	}
	return nil
}

// Veth makes a pair of interfaces, one end in each namespace, with all offloads
// off, and raises both. Packets on it are what they would be on a wire: whole
// checksums, no segment longer than the MTU.
func Veth(nsA, nameA, nsB, nameB string, mtu int) error {
	h, err := handle(nsA)
	if err != nil {
		return err
	}
	defer h.Close()
	peer, err := vns.GetFromPath(Path(nsB))
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", nsB, err)
	}
	defer peer.Close()
	v := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: nameA, MTU: mtu, TxQLen: 1000},
		PeerName:      nameB,
		PeerMTU:       uint32(mtu),
		PeerNamespace: netlink.NsFd(int(peer)),
	}
	if err := h.LinkAdd(v); err != nil {
		return fmt.Errorf("make link %s in %s to %s in %s: %w", nameA, nsA, nameB, nsB, err)
	}
	for _, end := range [][2]string{{nsA, nameA}, {nsB, nameB}} {
		if err := OffloadsOff(end[0], end[1]); err != nil {
			return err
		}
		if err := Up(end[0], end[1]); err != nil {
			return err
		}
	}
	return nil
}

// Tap makes a persistent tap interface with the given MAC and raises it. It has
// a carrier only while a program has it open.
func Tap(ns, name string, mac net.HardwareAddr, mtu int) error {
	err := Do(ns, func() error {
		return netlink.LinkAdd(&netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: name},
			Mode:      netlink.TUNTAP_MODE_TAP,
			Flags:     netlink.TUNTAP_NO_PI,
		})
	})
	if err != nil {
		return fmt.Errorf("make tap %s in %s: %w", name, ns, err)
	}
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error {
		if err := h.LinkSetHardwareAddr(l, mac); err != nil {
			return err
		}
		if err := h.LinkSetMTU(l, mtu); err != nil {
			return err
		}
		return h.LinkSetUp(l)
	})
}

// Up raises an interface.
func Up(ns, name string) error {
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetUp(l) })
}

// Down lowers an interface. The other end of a veth loses its carrier.
func Down(ns, name string) error {
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
}

// Enslave makes an interface a port of a bridge.
func Enslave(ns, name, bridge string) error {
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error {
		b, err := h.LinkByName(bridge)
		if err != nil {
			return err
		}
		return h.LinkSetMaster(l, b)
	})
}

// MAC is the Ethernet address of an interface.
func MAC(ns, name string) (mac net.HardwareAddr, err error) {
	err = change(ns, name, func(_ *netlink.Handle, l netlink.Link) error {
		mac = l.Attrs().HardwareAddr
		return nil
	})
	return mac, err
}

// SetMAC changes the Ethernet address of an interface.
func SetMAC(ns, name string, mac net.HardwareAddr) error {
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetHardwareAddr(l, mac) })
}

// Address gives an interface addresses, the first one preferred as source.
func Address(ns, name string, addrs ...netip.Prefix) error {
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error {
		for _, a := range addrs {
			if err := h.AddrAdd(l, &netlink.Addr{IPNet: IPNet(a)}); err != nil {
				return fmt.Errorf("address %v: %w", a, err)
			}
		}
		return nil
	})
}

// DefaultRoute sends everything of that family through the gateway.
func DefaultRoute(ns, name string, gateway netip.Addr) error {
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if gateway.Is6() {
		all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return Route(ns, name, all, gateway)
}

// Route sends packets for a prefix through the gateway.
func Route(ns, name string, to netip.Prefix, gateway netip.Addr) error {
	return change(ns, name, func(h *netlink.Handle, l netlink.Link) error {
		r := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: IPNet(to), Gw: gateway.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
		if err := h.RouteAdd(r); err != nil {
			return fmt.Errorf("route %v via %v: %w", to, gateway, err)
		}
		return nil
	})
}

// DeleteLink removes an interface; one that is not there is no error.
func DeleteLink(ns, name string) error {
	h, err := handle(ns)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.LinkByName(name)
	if _, gone := err.(netlink.LinkNotFoundError); gone {
		return nil
	}
	if err == nil {
		err = h.LinkDel(l)
	}
	if err != nil {
		return fmt.Errorf("remove interface %s in %s: %w", name, ns, err)
	}
	return nil
}

func change(ns, name string, fn func(*netlink.Handle, netlink.Link) error) error {
	h, err := handle(ns)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.LinkByName(name)
	if err == nil {
		err = fn(h, l)
	}
	if err != nil {
		return fmt.Errorf("set up interface %s in %s: %w", name, ns, err)
	}
	return nil
}

// IPNet is the prefix as package net has it.
func IPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
