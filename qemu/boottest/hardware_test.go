package boottest

import (
	"fmt"
	"testing"
)

func TestANodeWithoutANICAtTheConfiguredAddressSaysWhichItFound(t *testing.T) {
	c := good(t, freePort(t)).edit(t, fmt.Sprintf("north: {device: \"mac:%v\"", northMAC), fmt.Sprintf("north: {device: \"mac:%v\"", absentMAC))
	n := switchOn(t, machine(t, stateDisk(t, c.files())))
	n.wants("nics", "failed", bootPatience, "north|"+absentMAC.String(), "node.yaml")
	n.eventuallySays("nics", northMAC.String()+"|"+southMAC.String()+"|"+controlMAC.String(), patience)
	n.fine(patience, "state", "configuration", "network", "hugepages")
}

func TestANodeWithTooLittleMemoryForItsHugepagesSaysHowMuchItHas(t *testing.T) {
	c := good(t, freePort(t)).edit(t, "per_numa: 96MiB", "per_numa: 2GiB")
	n := switchOn(t, machine(t, stateDisk(t, c.files())))
	n.wants("hugepages", "failed", bootPatience, "cannot give 2 GiB for huge pages: it has", "more memory|machine.hugepages.per_numa")
	n.fine(patience, "state", "configuration", "network")
}

func TestWithoutAnIOMMUTheNICsAreOnUIO(t *testing.T) {
	r := startRouter(t)
	m := machine(t, stateDisk(t, good(t, r.port).files()))
	m.IOMMU = false
	n := switchOn(t, m)
	n.fine(bootPatience, phases...)
	n.serves(r)
	n.eventuallySays("nics", "uio_pci_generic", patience)
}
