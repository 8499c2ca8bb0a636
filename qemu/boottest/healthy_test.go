package boottest

import (
	"strings"
	"testing"

	"weir/qemu/vm"
)

func TestAHealthyNodeBootsFromKernelAndInitramfs(t *testing.T) {
	r := startRouter(t)
	disk := stateDisk(t, good(t, r.port).files())
	m := machine(t, disk)
	n := switchOn(t, m)
	n.fine(bootPatience, phases...)
	n.serves(r)
	n.eventuallySays("status", "lb1 of boottest|slot net|6d5f0f5c-2f0e-4a59-9c38-0123456789ab|WEIR-0001|read-write", patience)
	n.eventuallySays("nics", "vfio-pci|"+northMAC.String()+"|"+southMAC.String()+"|"+controlMAC.String(), patience)

	// A kernel that kexec starts is watched by the timers of the one before it.
	n.login()
	if said := n.shell("echo stops=$(cat /sys/module/watchdog/parameters/stop_on_reboot)"); !strings.Contains(said, "stops=0") {
		t.Errorf("the hardware's watchdogs stop at a restart: %s", said)
	}

	n.switchOff()
	r.withdrawn(patience)
	checkFS(t, extract(t, disk))
	if !stateIntact(t, extract(t, disk)) {
		t.Error("the state database is no good")
	}
}

func TestAHealthyNodeBootsFromTheUKI(t *testing.T) {
	r := startRouter(t)
	m := machine(t, stateDisk(t, good(t, r.port).files()))
	m.Boot = vm.Boot{UKI: image("weir.efi")}
	n := switchOn(t, m)
	n.fine(uefiPatience, phases...)
	n.serves(r)
}

func TestAHealthyNodeBootsFromTheDiskImage(t *testing.T) {
	r := startRouter(t)
	m := machine(t, diskImage(t, good(t, r.port).files()))
	m.Boot = vm.Boot{Disk: true}
	n := switchOn(t, m)
	n.fine(uefiPatience, phases...)
	n.serves(r)
	n.eventuallySays("status", "slot a|read-write", patience)
}
