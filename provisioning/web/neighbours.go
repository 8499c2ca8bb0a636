package web

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernel asks the kernel's table of neighbours of an interface. A client that
// talks TCP to us is in it.
type Kernel struct{ index int }

// NewKernel is the table of an interface.
func NewKernel(name string) (*Kernel, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", name, err)
	}
	return &Kernel{i.Index}, nil
}

// MAC is the MAC address that an address has.
func (k *Kernel) MAC(a netip.Addr) (string, bool) {
	const known = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT
	list, err := netlink.NeighList(k.index, unix.AF_INET)
	if err != nil {
		return "", false
	}
	for _, n := range list {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == a && n.State&known != 0 {
			return n.HardwareAddr.String(), true
		}
	}
	return "", false
}
