package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"weir/services/config"
)

// Exceptions makes the exception interfaces of both sides: persistent taps with
// the node's addresses, whether their NICs are there or not, so that the node's
// sockets can be opened. MACs of north and south are their NICs'; empty: any.
func Exceptions(c *config.Node, north, south string) error {
	return errors.Join(
		exception(c.Dataplane.North.Exception, north, c.Machine.North, northSide),
		exception(c.Dataplane.South.Exception, south, c.Machine.South, southSide))
}

func exception(name, mac string, e config.Exception, side side) error {
	if _, err := net.InterfaceByName(name); err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		tap := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI, Queues: 1}
		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("make the exception interface %s (needs the kernel module tun): %w", name, err)
		}
		for _, f := range tap.Fds {
			f.Close() // the interface persists
		}
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("exception interface %s: %w", name, err)
	}
	if hw, err := net.ParseMAC(mac); err == nil && len(hw) == 6 {
		if err := netlink.LinkSetHardwareAddr(link, hw); err != nil {
			return fmt.Errorf("give %s the address %s: %w", name, mac, err)
		}
	}
	if link, err = up(name); err != nil {
		return err
	}
	var prefixes []netip.Prefix
	for _, p := range e.Addresses {
		if err := address(link, p.Prefix); err != nil {
			return err
		}
		prefixes = append(prefixes, p.Prefix)
	}
	for _, gateway := range []netip.Addr{e.Gateway, e.Gateway6} {
		if !gateway.IsValid() {
			continue
		}
		if err := defaultRoute(link, side, gateway, prefixes); err != nil {
			return err
		}
	}
	return nil
}
