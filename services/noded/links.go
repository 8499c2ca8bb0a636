package main

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"weir/services/config"
)

// links finds network interfaces by their hardware: names change (root is /sys).
type links struct{ root string }

// addresses are those that the interface of a device, "mac:…" or "pci:…", has now.
func (l links) addresses(device string) ([]netip.Addr, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool { return l.is(i, device) })
	if i < 0 {
		return nil, fmt.Errorf("the control NIC %s is not there", device)
	}
	list, err := all[i].Addrs()
	if err != nil {
		return nil, fmt.Errorf("read the addresses of %s: %w", all[i].Name, err)
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			out = append(out, p.Addr())
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the control NIC %s has no address (yet)", device)
	}
	return out, nil
}

// is reports whether an interface is of a device.
func (l links) is(i net.Interface, device string) bool {
	kind, name, _ := strings.Cut(device, ":")
	// Only hardware has a device: exception interfaces have the addresses of NICs.
	path, err := filepath.EvalSymlinks(filepath.Join(l.root, "class/net", i.Name, "device"))
	if err != nil {
		return false
	}
	if kind == config.DevicePCI {
		return slices.Contains(strings.Split(path, "/"), name)
	}
	return i.HardwareAddr.String() == name
}
