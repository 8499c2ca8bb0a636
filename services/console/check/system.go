package check

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/beevik/ntp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weir/services/identity"
)

// System is this machine's Network.
type System struct{}

var _ Network = System{}

// Connect implements Network.
func (System) Connect(ctx context.Context, from netip.Addr, to netip.AddrPort) error {
	d := net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return reason(err)
	}
	return c.Close()
}

// reason is an error without the addresses that the check names already.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// Authenticate implements Network.
func (System) Authenticate(ctx context.Context, files identity.Files, to netip.AddrPort) error {
	me, err := identity.Load(files)
	if err != nil {
		return err
	}
	config := me.Client(identity.Configd)
	config.ServerName, config.NextProtos = to.Addr().String(), []string{"h2"}
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return reason(err)
	}
	return c.Close()
}

// resolvePoll is how often the kernel's neighbour table is looked at.
const resolvePoll = 50 * time.Millisecond

// Resolve implements Network. An entry that is there already proves nothing: the
// kernel is told to probe it.
func (System) Resolve(ctx context.Context, iface string, addr netip.Addr) error {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", iface, err)
	}
	index := link.Attrs().Index
	neigh, err := neighbour(index, addr)
	if err != nil {
		return err
	}
	if neigh != nil && len(neigh.HardwareAddr) > 0 && neigh.State&unix.NUD_PERMANENT == 0 {
		neigh.State = unix.NUD_PROBE
	} else {
		neigh = &netlink.Neigh{LinkIndex: index, IP: addr.AsSlice(), Family: family(addr), State: unix.NUD_NONE, Flags: unix.NTF_USE}
	}
	if err := netlink.NeighSet(neigh); err != nil {
		return fmt.Errorf("ask for %s: %w", addr, err)
	}
	for {
		n, err := neighbour(index, addr)
		switch {
		case err != nil:
			return err
		case n != nil && n.State&(unix.NUD_REACHABLE|unix.NUD_PERMANENT|unix.NUD_NOARP) != 0:
			return nil
		case n != nil && n.State&unix.NUD_FAILED != 0:
			return errors.New("no answer")
		}
		select {
		case <-ctx.Done():
			return errors.New("no answer")
		case <-time.After(resolvePoll):
		}
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// neighbour is the kernel's entry of an address; nil: it has none.
func neighbour(index int, addr netip.Addr) (*netlink.Neigh, error) {
	list, err := netlink.NeighList(index, family(addr))
	if err != nil {
		return nil, fmt.Errorf("read the neighbour table: %w", err)
	}
	for i := range list {
		if a, ok := netip.AddrFromSlice(list[i].IP); ok && a.Unmap() == addr {
			return &list[i], nil
		}
	}
	return nil, nil
}

// ClockOffset implements Network.
func (System) ClockOffset(ctx context.Context, server netip.Addr) (time.Duration, error) {
	timeout := Timeout
	if end, ok := ctx.Deadline(); ok {
		timeout = time.Until(end)
	}
	r, err := ntp.QueryWithOptions(server.String(), ntp.QueryOptions{Timeout: timeout})
	if err != nil {
		return 0, reason(err)
	}
	if err := r.Validate(); err != nil {
		return 0, err
	}
	return r.ClockOffset, nil
}

// MTU implements Network.
func (System) MTU(iface string) (int, error) {
	i, err := net.InterfaceByName(iface)
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", iface, err)
	}
	return i.MTU, nil
}

// Gateways implements Network.
func (System) Gateways(iface string) (out []netip.Addr, err error) {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", iface, err)
	}
	routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("read the routes of %s: %w", iface, err)
	}
	for _, r := range routes {
		if a, ok := netip.AddrFromSlice(r.Gw); ok && (r.Dst == nil || r.Dst.IP.IsUnspecified()) {
			out = append(out, a.Unmap())
		}
	}
	return out, nil
}
