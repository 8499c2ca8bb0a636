package nic

import (
	"fmt"
	"os"
	"path/filepath"
)

// secureBoot is the firmware's variable (UEFI 2.10, 3.3): four bytes of attributes,
// then 1 where Secure Boot is on.
const secureBoot = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

// permitted refuses uio where Secure Boot is on: it would bind, and the packet
// processor could not use it, since the kernel is locked down and lets nobody write
// the configuration of PCI devices.
func (s System) permitted(n NIC, driver string) error {
	value, err := os.ReadFile(filepath.Join(s.Root, secureBoot))
	if err != nil || len(value) != 5 || value[4] != 1 || driver != uio {
		return nil // not read: no UEFI
	}
	return fmt.Errorf("%s is behind no IOMMU, and with Secure Boot the kernel gives such a NIC to no program: enable the IOMMU (VT-d, AMD-Vi) in the firmware, or switch Secure Boot off", n.PCI)
}
