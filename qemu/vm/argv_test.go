package vm

import (
	"net"
	"slices"
	"strings"
	"testing"
)

func TestTheIOMMUStandsBeforeTheDevicesBehindIt(t *testing.T) {
	m := &Machine{Name: "lb1", Dir: "/d", Memory: 768, IOMMU: true, Boot: Boot{Kernel: "/k"},
		NICs: []NIC{{Name: "north", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Tap: "lb1-north"}}}
	argv := m.Argv(TCG)
	iommu := slices.IndexFunc(argv, func(s string) bool { return strings.HasPrefix(s, "intel-iommu") })
	nic := slices.IndexFunc(argv, func(s string) bool { return strings.HasPrefix(s, "virtio-net-pci") })
	if iommu < 0 || nic < iommu {
		t.Fatalf("intel-iommu is argument %d, the NIC %d: %v", iommu, nic, argv)
	}
	for _, want := range []string{"iommu_platform=on", "ats=on", "disable-legacy=on", "mac=02:00:00:00:00:01", "romfile="} {
		if !strings.Contains(argv[nic], want) {
			t.Errorf("the NIC lacks %s: %s", want, argv[nic])
		}
	}
	if !slices.Contains(argv, "q35,sata=off,smbus=off,kernel-irqchip=split") {
		t.Errorf("interrupts are not remapped: %v", argv)
	}
}

func TestWithoutAnIOMMUTheNICsAreNotBehindOne(t *testing.T) {
	m := &Machine{Name: "lb1", Dir: "/d", Memory: 768, Boot: Boot{Kernel: "/k"}, NICs: []NIC{{Name: "north"}, {Name: "control", User: "net=10.30.0.0/24"}}}
	all := strings.Join(m.Argv(TCG), " ")
	for _, not := range []string{"intel-iommu", "iommu_platform", "split"} {
		if strings.Contains(all, not) {
			t.Errorf("%s is there: %s", not, all)
		}
	}
	for _, want := range []string{"hubport,id=north", "user,id=control,net=10.30.0.0/24", "addr=0x10", "addr=0x11"} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %s: %s", want, all)
		}
	}
}

func TestALoggedDiskIsAttachedThroughItsLog(t *testing.T) {
	m := &Machine{Name: "lb1", Dir: "/d", Memory: 768, Boot: Boot{Disk: true}, Disks: []Disk{{Path: "/a,b.img", Serial: "state", WriteLog: "/w.log"}}}
	all := strings.Join(m.Argv(KVM), " ")
	for _, want := range []string{"filename=/a,,b.img", "driver=blklogwrites,node-name=disk0-logged,log-sector-size=512,log-super-update-interval=1,file=disk0,log=disk0-log",
		"virtio-blk-pci,drive=disk0-logged,addr=0x8", "write-zeroes=off,discard=off", "serial=state", "OVMF_CODE", "-accel kvm -cpu host"} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %s: %s", want, all)
		}
	}
}
