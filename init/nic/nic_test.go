package nic

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/services/config"
)

// machine is a folder as root with PCI devices in it.
type machine struct {
	System
	t      *testing.T
	takes  string // the driver that a device has after a module was loaded
	loaded []string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, System: System{Root: t.TempDir()}}
	m.Load = func(module string) error {
		m.loaded = append(m.loaded, module)
		if m.takes != "" {
			m.driver("0000:00:03.0", m.takes)
		}
		return nil
	}
	m.write("/sys/bus/pci/drivers_probe", "")
	return m
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	path = filepath.Join(m.Root, path)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(path string) string {
	b, err := os.ReadFile(filepath.Join(m.Root, path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

func (m *machine) driver(pci, name string) {
	m.t.Helper()
	dir := filepath.Join(m.Root, "/sys/bus/pci/drivers", name)
	m.write("/sys/bus/pci/drivers/"+name+"/unbind", "")
	at := filepath.Join(m.Root, pciDevices, pci, "driver")
	os.Remove(at)
	if err := os.Symlink(dir, at); err != nil {
		m.t.Fatal(err)
	}
}

// add plugs in a device of that class; group is its IOMMU group, or empty.
func (m *machine) add(pci, class, driver, group string) {
	m.t.Helper()
	at := pciDevices + "/" + pci
	m.write(at+"/class", class+"\n")
	m.write(at+"/vendor", "0x1af4\n")
	m.write(at+"/device", "0x1041\n")
	m.write(at+"/numa_node", "-1\n")
	m.write(at+"/driver_override", "")
	if driver != "" {
		m.driver(pci, driver)
	}
	if group == "" {
		return
	}
	dir := filepath.Join(m.Root, "/sys/kernel/iommu_groups", group, "devices")
	os.MkdirAll(dir, 0o755)
	os.Symlink(filepath.Join(m.Root, at), filepath.Join(dir, pci))
	if err := os.Symlink(filepath.Dir(dir), filepath.Join(m.Root, at, "iommu_group")); err != nil {
		m.t.Fatal(err)
	}
}

func TestNICsAreListedWithTheMACThatTheirKernelDriverShows(t *testing.T) {
	m := newMachine(t)
	m.add("0000:00:03.0", "0x020000", "virtio-pci", "3")
	m.write(pciDevices+"/0000:00:03.0/virtio0/net/eth0/address", "52:54:00:12:34:56\n")
	m.add("0000:01:00.0", "0x020000", "ixgbe", "")
	m.write(pciDevices+"/0000:01:00.0/net/eth1/address", "52:54:00:12:34:57\n")
	m.write(pciDevices+"/0000:01:00.0/numa_node", "1\n")
	m.add("0000:00:1f.2", "0x010601", "ahci", "")
	want := []NIC{
		{PCI: "0000:00:03.0", MAC: "52:54:00:12:34:56", VendorDevice: "1af4:1041", Driver: "virtio-pci", Interface: "eth0", Group: "3"},
		{PCI: "0000:01:00.0", MAC: "52:54:00:12:34:57", VendorDevice: "1af4:1041", Driver: "ixgbe", Interface: "eth1", NUMA: 1},
	}
	if got := m.List(); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestANICIsFoundByPCIOrMACAddressAndNeverByHalfOfIt(t *testing.T) {
	all := []NIC{{PCI: "0000:00:03.0", MAC: "52:54:00:00:00:01"}, {PCI: "0000:00:04.0", MAC: "52:54:00:00:00:02"}, {PCI: "0000:00:05.0"}}
	for device, want := range map[string]string{"pci:0000:00:05.0": "0000:00:05.0", "mac:52:54:00:00:00:02": "0000:00:04.0"} {
		if n, err := Find(all, device); err != nil || n.PCI != want {
			t.Errorf("%s: %v, %v", device, n, err)
		}
	}
	for _, device := range []string{"pci:0000:00:09.0", "mac:52:54:00:00:00:09", "mac:", "pci:", "mac:0000:00:03.0"} {
		if n, err := Find(all[:2], device); err == nil || !strings.Contains(err.Error(), "pci:0000:00:03.0 (mac:52:54:00:00:00:01") {
			t.Errorf("%s: %v, %v", device, n, err)
		}
	}
	if _, err := Find(nil, "mac:52:54:00:00:00:01"); err == nil || !strings.Contains(err.Error(), "shows no NIC at all") {
		t.Error(err)
	}
}

func TestTwoNICsWithOneMACAreNotGuessedBetween(t *testing.T) {
	all := []NIC{{PCI: "0000:00:03.0", MAC: "52:54:00:00:00:01"}, {PCI: "0000:00:04.0", MAC: "52:54:00:00:00:01"}}
	if _, err := Find(all, "mac:52:54:00:00:00:01"); err == nil || !strings.Contains(err.Error(), "name one by its PCI address") {
		t.Error(err)
	}
}

func TestEveryNICIsReportedWithItsRoleAndAWantedOneThatIsAbsentToo(t *testing.T) {
	all := []NIC{{PCI: "0000:00:03.0", MAC: "52:54:00:00:00:01"}, {PCI: "0000:00:04.0", MAC: "52:54:00:00:00:02"}}
	got := Assign(all, []Want{{North, "mac:52:54:00:00:00:02"}, {South, "pci:0000:00:04.0"}, {Control, "pci:0000:00:07.0"}})
	var lines []string
	for _, a := range got {
		lines = append(lines, fmt.Sprintf("%s %s %v", a.Role, a.PCI, a.Err != nil))
	}
	want := []string{"north 0000:00:04.0 false", "south  true", "control  true", " 0000:00:03.0 false"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q", lines)
	}
	if !strings.Contains(got[1].Err.Error(), "north has already") {
		t.Error(got[1].Err)
	}
}

func TestTheControlNICIsWantedOnlyIfThereIsAControlNetwork(t *testing.T) {
	c := &config.Node{Machine: &config.Machine{}}
	c.Dataplane.North.Device, c.Dataplane.South.Device = "pci:0000:00:03.0", "mac:52:54:00:00:00:02"
	if got := Wants(c); len(got) != 2 {
		t.Error(got)
	}
	c.Dataplane.South.Device = "af_packet:eth1"
	if got := Wants(c); len(got) != 1 || got[0].Role != North {
		t.Errorf("a kernel's interface is looked for on the PCI bus: %v", got)
	}
	c.Dataplane.South.Device = "mac:52:54:00:00:00:02"
	c.Machine.Control.Device = "pci:0000:00:05.0"
	if got := Wants(c); len(got) != 3 || got[2] != (Want{Control, "pci:0000:00:05.0"}) {
		t.Error(got)
	}
}

func TestANICBehindAnIOMMUGoesToVFIOAndAnotherToUIO(t *testing.T) {
	for group, driver := range map[string]string{"4": "vfio-pci", "": "uio_pci_generic"} {
		m := newMachine(t)
		m.add("0000:00:03.0", "0x020000", "virtio-pci", group)
		m.takes = driver
		if err := m.Bind(m.List()[0], nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(m.loaded, driver) || m.read(pciDevices+"/0000:00:03.0/driver_override") != driver || m.read("/sys/bus/pci/drivers_probe") != "0000:00:03.0" {
			t.Errorf("%s: loaded %v", driver, m.loaded)
		}
		m.loaded = nil
		if err := m.Bind(m.List()[0], nil); err != nil || m.loaded != nil {
			t.Errorf("bound again: %v, loaded %v", err, m.loaded)
		}
	}
}

func TestUnderSecureBootANICWithoutAnIOMMUIsRefusedWithTheRemedy(t *testing.T) {
	for _, c := range []struct {
		value, group string
		refused      bool
	}{{"\x06\x00\x00\x00\x01", "", true}, {"\x06\x00\x00\x00\x01", "4", false}, {"\x06\x00\x00\x00\x00", "", false}, {"", "", false}} {
		m := newMachine(t)
		m.add("0000:00:03.0", "0x020000", "virtio-pci", c.group)
		m.write(secureBoot, c.value)
		m.takes = "uio_pci_generic"
		if c.group != "" {
			m.takes = "vfio-pci"
		}
		err := m.Bind(m.List()[0], nil)
		if (err != nil) != c.refused || c.refused && !strings.Contains(err.Error(), "enable the IOMMU (VT-d, AMD-Vi) in the firmware, or switch Secure Boot off") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestADriverThatDoesNotTakeTheNICIsReportedWithAHint(t *testing.T) {
	m := newMachine(t)
	m.add("0000:00:03.0", "0x020000", "virtio-pci", "")
	err := m.Bind(m.List()[0], nil)
	if err == nil || !strings.Contains(err.Error(), "uio_pci_generic did not take 0000:00:03.0, which has virtio-pci now") || !strings.Contains(err.Error(), "intel_iommu=on") {
		t.Error(err)
	}
}

func TestANICThatSharesItsIOMMUGroupWithABusyDeviceIsRefused(t *testing.T) {
	m := newMachine(t)
	m.add("0000:00:03.0", "0x020000", "virtio-pci", "4")
	m.add("0000:00:02.0", "0x060400", "pcieport", "4") // a bridge does no harm
	m.add("0000:00:04.0", "0x020000", "virtio-pci", "4")
	m.takes = "vfio-pci"
	n := m.List()[0]
	err := m.Bind(n, nil)
	if err == nil || !strings.Contains(err.Error(), "shares IOMMU group 4 with 0000:00:04.0, which virtio-pci uses") {
		t.Error(err)
	}
	if err := m.Bind(n, []string{"0000:00:03.0", "0000:00:04.0"}); err != nil {
		t.Errorf("with the other NIC of the packet processor: %v", err)
	}
}
