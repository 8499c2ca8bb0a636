// Package nic finds network cards by PCI or MAC address (never by name, which
// changes) and binds them to the driver that the packet processor needs (the
// phase "nics").
package nic

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/init/sysfs"
	"weir/services/config"
)

// NIC is one network function on the PCI bus.
type NIC struct {
	PCI          string // "0000:00:03.0"
	MAC          string // lower case; empty: its kernel driver never showed it
	VendorDevice string // "1af4:1041"
	Driver       string // bound now; empty: none
	Interface    string // the kernel's, while its own driver has it
	Group        string // IOMMU group; empty: there is no IOMMU
	NUMA         int    // 0 also where the machine does not say
}

// String names the NIC for people.
func (n NIC) String() string {
	var parts []string
	if n.MAC != "" {
		parts = append(parts, "mac:"+n.MAC)
	}
	parts = append(parts, n.VendorDevice)
	if n.Driver != "" {
		parts = append(parts, n.Driver)
	} else {
		parts = append(parts, "no driver")
	}
	return fmt.Sprintf("pci:%s (%s)", n.PCI, strings.Join(parts, ", "))
}

// System is the machine as this package sees it.
type System struct {
	Root string             // "" on a machine, a folder in a test
	Load func(string) error // loads a kernel module
}

const pciDevices = "/sys/bus/pci/devices"

// List gives all network functions in the order of their PCI addresses. A MAC
// address can only be read before the packet processor's driver is bound.
func (s System) List() []NIC {
	dirs, _ := os.ReadDir(filepath.Join(s.Root, pciDevices))
	var all []NIC
	for _, d := range dirs {
		at := filepath.Join(s.Root, pciDevices, d.Name())
		// Base class 02 is network; 00 is Ethernet, 07 InfiniBand, 80 other
		// (PCI Code and ID Assignment Specification 1.11, section 1.3).
		if !strings.HasPrefix(sysfs.Text(at+"/class"), "0x02") {
			continue
		}
		n := NIC{PCI: d.Name(), Driver: sysfs.Link(at + "/driver"), Group: sysfs.Link(at + "/iommu_group"),
			VendorDevice: strings.TrimPrefix(sysfs.Text(at+"/vendor"), "0x") + ":" + strings.TrimPrefix(sysfs.Text(at+"/device"), "0x")}
		n.NUMA = max(0, int(sysfs.Number(at+"/numa_node", 0))) // -1: the machine does not say
		n.Interface, n.MAC = netdev(at)
		all = append(all, n)
	}
	return all
}

// netdev is the kernel's interface of a device. That of virtio hangs one level
// deeper, under virtioN.
func netdev(device string) (name, mac string) {
	for _, pattern := range []string{"net/*", "virtio*/net/*"} {
		if dirs, _ := filepath.Glob(filepath.Join(device, pattern)); len(dirs) > 0 {
			return filepath.Base(dirs[0]), sysfs.Text(dirs[0] + "/address")
		}
	}
	return "", ""
}

// Find gives the NIC that node.yaml names as "pci:…" or "mac:…". The error lists
// those that there are.
func Find(all []NIC, device string) (NIC, error) {
	kind, name, _ := strings.Cut(device, ":")
	matches := slices.DeleteFunc(slices.Clone(all), func(n NIC) bool {
		return !(kind == config.DevicePCI && n.PCI == name || kind == config.DeviceMAC && n.MAC == name)
	})
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return NIC{}, fmt.Errorf("there is no NIC %s; %s", device, describe(all))
	}
	return NIC{}, fmt.Errorf("several NICs are %s: %s; name one by its PCI address", device, join(matches))
}

func describe(all []NIC) string {
	if len(all) == 0 {
		return "the machine shows no NIC at all"
	}
	return "the machine has " + join(all)
}

func join(all []NIC) string {
	var names []string
	for _, n := range all {
		names = append(names, n.String())
	}
	return strings.Join(names, ", ")
}
