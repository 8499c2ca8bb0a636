package nic

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/init/sysfs"
)

// Drivers that give a NIC to a program.
const (
	vfio = "vfio-pci"        // behind an IOMMU
	uio  = "uio_pci_generic" // without one
)

// Bind gives the NIC to the packet processor: to vfio-pci if there is an IOMMU,
// else to uio_pci_generic. Others are the addresses of all NICs that the packet
// processor gets; they may share an IOMMU group.
func (s System) Bind(n NIC, others []string) error {
	driver, modules := uio, []string{uio}
	if n.Group != "" {
		driver, modules = vfio, []string{"vfio_iommu_type1", vfio}
		if err := s.alone(n, others); err != nil {
			return err
		}
	}
	if err := s.permitted(n, driver); err != nil {
		return err
	}
	if n.Driver == driver {
		return nil
	}
	for _, m := range modules {
		if err := s.Load(m); err != nil {
			return fmt.Errorf("load %s for %s: %w", m, n.PCI, err)
		}
	}
	at := filepath.Join(s.Root, pciDevices, n.PCI)
	if err := sysfs.Write(filepath.Join(at, "driver_override"), driver); err != nil {
		return fmt.Errorf("bind %s to %s: %w", n.PCI, driver, err)
	}
	if n.Driver != "" {
		if err := sysfs.Write(filepath.Join(at, "driver", "unbind"), n.PCI); err != nil {
			return fmt.Errorf("take %s from %s: %w", n.PCI, n.Driver, err)
		}
	}
	err := sysfs.Write(filepath.Join(s.Root, "/sys/bus/pci/drivers_probe"), n.PCI)
	if now := sysfs.Link(at + "/driver"); now != driver {
		return s.notBound(n, driver, now, err)
	}
	return nil
}

func (s System) notBound(n NIC, driver, now string, cause error) error {
	if now == "" {
		now = "no driver"
	}
	hint := "see the kernel's log"
	if driver == uio {
		hint = "it needs a legacy interrupt; enable the IOMMU in the firmware and boot with intel_iommu=on or amd_iommu=on"
	}
	return errors.Join(fmt.Errorf("%s did not take %s, which has %s now: %s", driver, n.PCI, now, hint), cause)
}

// alone refuses a NIC whose IOMMU group has a device that a kernel driver uses:
// vfio gives a program whole groups only.
func (s System) alone(n NIC, others []string) error {
	members, err := os.ReadDir(filepath.Join(s.Root, pciDevices, n.PCI, "iommu_group", "devices"))
	if err != nil {
		return fmt.Errorf("IOMMU group %s of %s: %w", n.Group, n.PCI, err)
	}
	for _, m := range members {
		at := filepath.Join(s.Root, pciDevices, m.Name())
		driver := sysfs.Link(at + "/driver")
		switch {
		case m.Name() == n.PCI, slices.Contains(others, m.Name()):
		case driver == "", driver == vfio, driver == "pci-stub":
		case strings.HasPrefix(sysfs.Text(at+"/class"), "0x0604"): // a bridge: its driver moves no memory of its own
		default:
			return fmt.Errorf("%s shares IOMMU group %s with %s, which %s uses: put the card into another slot, or switch ACS on in the firmware",
				n.PCI, n.Group, m.Name(), driver)
		}
	}
	return nil
}
