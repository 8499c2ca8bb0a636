package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/qemu/netns/nstest"
	"weir/services/config"
)

// sysfs makes a /sys with these files; a value that begins with -> is a link.
func sysfs(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range files {
		path := filepath.Join(root, name)
		nstest.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if to, ok := strings.CutPrefix(value, "->"); ok {
			nstest.Must(t, os.Symlink(to, path))
		} else {
			nstest.Must(t, os.WriteFile(path, []byte(value+"\n"), 0o644))
		}
	}
	return root
}

func TestANICMustBeThereAndLeftToTheProgram(t *testing.T) {
	const at = "bus/pci/devices/0000:00:0"
	root := sysfs(t, map[string]string{
		at + "2.0/class": "0x030000",
		at + "3.0/class": "0x020000", at + "3.0/driver": "->../../drivers/vfio-pci", at + "3.0/numa_node": "1",
		at + "4.0/class": "0x020000", at + "4.0/driver": "->../../drivers/virtio-pci",
		at + "5.0/class": "0x020000",
		at + "6.0/class": "0x020000", at + "6.0/driver": "->../../drivers/uio_pci_generic", at + "6.0/numa_node": "-1",
	})
	for address, want := range map[string]string{
		"0000:00:03.0": "node 1",
		"0000:00:06.0": "node 0",
		"0000:00:04.0": "north: the NIC 0000:00:04.0 is not left to this program: the driver virtio-pci holds it; bind it to vfio-pci",
		"0000:00:05.0": "no driver holds it",
		"0000:00:09.0": "north: there is no PCI device 0000:00:09.0; the machine's NICs are: 0000:00:03.0 (vfio-pci), 0000:00:04.0 (virtio-pci), 0000:00:05.0, 0000:00:06.0 (uio_pci_generic)",
	} {
		node, err := checkNIC(root, "north", address)
		got := "node " + string(rune('0'+node))
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	err := errUnresolved("dataplane.north.device", config.NIC{Device: "mac:52:54:00:12:34:56"})
	if !strings.Contains(err.Error(), "52:54:00:12:34:56 was found") {
		t.Error(err)
	}
}

func TestHugePagesAreCountedWhereTheNICIs(t *testing.T) {
	pages := func(dir, size, free, total string) map[string]string {
		d := dir + "/hugepages/hugepages-" + size + "kB/"
		return map[string]string{d + "free_hugepages": free, d + "nr_hugepages": total}
	}
	files := map[string]string{}
	for _, m := range []map[string]string{
		pages("kernel/mm", "2048", "40", "100"), pages("kernel/mm", "1048576", "0", "0"),
		pages("devices/system/node/node0", "2048", "40", "60"), pages("devices/system/node/node0", "1048576", "0", "0"),
		pages("devices/system/node/node1", "2048", "0", "40"), pages("devices/system/node/node1", "1048576", "0", "0"),
		pages("devices/system/node/node2", "2048", "0", "0"), pages("devices/system/node/node2", "1048576", "1", "2"),
	} {
		for name, value := range m {
			files[name] = value
		}
	}
	root := sysfs(t, files)
	for _, tc := range []struct {
		need      int64 // MiB
		node      int
		appliance bool
		want      string
	}{
		{64, anyNode, false, ""},
		{64, 0, false, ""},
		{64, 7, false, ""}, // a kernel that knows no nodes has one place for all
		{64, 1, false, "needs 32 free huge pages of 2 MiB on NUMA node 1, the machine has 0 of 40 free; reserve more: echo 72 > " + root + "/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"},
		{81, anyNode, false, "needs 41 free huge pages of 2 MiB, the machine has 40 of 100 free; reserve more: sysctl -w vm.nr_hugepages=101"},
		{82, 0, true, "needs 41 free huge pages of 2 MiB on NUMA node 0, the machine has 40 of 60 free; reserve more: raise machine.hugepages.per_numa in node.yaml"},
		{1024, 2, false, ""},
		{1025, 2, true, "needs 2 free huge pages of 1 GiB on NUMA node 2, the machine has 1 of 2 free"},
	} {
		err := checkHugepages(root, tc.need<<20, tc.node, tc.appliance)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%d MiB on node %d: got %v, want %q", tc.need, tc.node, err, tc.want)
		}
	}
	if err := checkHugepages(t.TempDir(), 1, anyNode, false); err == nil || !strings.Contains(err.Error(), "offers no huge pages") {
		t.Error(err)
	}
}
