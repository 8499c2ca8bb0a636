package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/services/config"
)

// drivers are those that leave a NIC to a program.
var drivers = []string{"vfio-pci", "uio_pci_generic"}

// errUnresolved is for a NIC whose PCI address nobody has filled in.
func errUnresolved(key string, nic config.NIC) error {
	return fmt.Errorf("%s: no NIC with the address %s was found when the machine started; correct %s in node.yaml, or look whether the NIC is in its slot and on", key, nic.Name(), key)
}

// checkNIC looks whether a NIC is there and left to us; root is /sys. It gives
// the NIC's NUMA node.
func checkNIC(root, key, address string) (node int, err error) {
	dir := filepath.Join(root, "bus/pci/devices", address)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return anyNode, fmt.Errorf("%s: there is no PCI device %s; the machine's NICs are: %s", key, address, strings.Join(nics(root), ", "))
	}
	driver := driverOf(dir)
	if !slices.Contains(drivers, driver) {
		held := "no driver holds it"
		if driver != "" {
			held = "the driver " + driver + " holds it"
		}
		return anyNode, fmt.Errorf("%s: the NIC %s is not left to this program: %s; bind it to vfio-pci, or to uio_pci_generic where there is no IOMMU", key, address, held)
	}
	node, err = readNumber(filepath.Join(dir, "numa_node"))
	if err != nil || node < 0 {
		node = 0 // a machine with one node does not say
	}
	return node, nil
}

// interrupts reports whether a NIC can wake the program: only vfio passes the
// interrupts of queues on.
func interrupts(address string) bool { return driverOf("/sys/bus/pci/devices/"+address) == "vfio-pci" }

// driverOf is the name of the driver that a device is bound to; empty: none.
func driverOf(dir string) string {
	link, err := os.Readlink(filepath.Join(dir, "driver"))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}

// nics are the machine's network devices with their drivers.
func nics(root string) (out []string) {
	list, err := os.ReadDir(filepath.Join(root, "bus/pci/devices"))
	if err != nil {
		return []string{"unknown"}
	}
	for _, e := range list {
		dir := filepath.Join(root, "bus/pci/devices", e.Name())
		class, err := os.ReadFile(filepath.Join(dir, "class"))
		if err != nil || !strings.HasPrefix(string(class), "0x0200") { // Ethernet controller
			continue
		}
		text := e.Name()
		if d := driverOf(dir); d != "" {
			text += " (" + d + ")"
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		return []string{"none"}
	}
	return out
}
