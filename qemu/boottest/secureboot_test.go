package boottest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/firmware/secureboot"
	"weir/image/disk"
	"weir/qemu/vm"
)

// What the firmware and the boot loader say of a program without a good signature.
const (
	denied       = "Access Denied"
	slotRefused  = "Weir boot loader: slot a does not start: Access Denied"
	nothingElse  = "No bootable option or device was found"
	secureKernel = "EFI stub: UEFI Secure Boot is enabled."
)

// secure are keys, and a machine's firmware that trusts them and no others.
type secure struct {
	t    *testing.T
	keys secureboot.Keys
	vars string
}

func newSecure(t *testing.T) *secure {
	t.Helper()
	dir := t.TempDir()
	s := &secure{t: t, keys: secureboot.Keys{Dir: dir}, vars: filepath.Join(dir, "vars.fd")}
	_, err := s.keys.Create(time.Now())
	s.must(err)
	empty, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	s.must(err)
	enrolled, err := s.keys.Enrol(empty)
	s.must(err)
	s.must(os.WriteFile(s.vars, enrolled, 0o600))
	return s
}

func (s *secure) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// signed is a signed copy of a file of the image.
func (s *secure) signed(name string) string {
	s.t.Helper()
	to := filepath.Join(s.t.TempDir(), name)
	s.must(s.keys.Sign(image(name), to))
	return to
}

// altered changes one byte in the middle of a program: of the initramfs.
func (s *secure) altered(path string) string {
	s.t.Helper()
	info, err := os.Stat(path)
	s.must(err)
	write(s.t, path, info.Size()/2, "!")
	return path
}

// disk is the image's disk with these programs on it.
func (s *secure) disk(loader, unified string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	path := filepath.Join(dir, "disk.img")
	s.must(disk.Contents{Loader: loader, Unified: unified, When: time.Unix(1795000000, 0)}.Make(dir, path))
	return path
}

func (s *secure) machine(boot vm.Boot, disks ...string) *vm.Machine {
	m := machine(s.t, disks...)
	m.Boot, m.SecureBoot = boot, s.vars
	return m
}

// shows waits for text on the serial console.
func (n *node) shows(text string) {
	n.t.Helper()
	if err := n.Expect(uefiPatience, text); err != nil {
		n.t.Fatal(err)
	}
}

// The kernel is locked down: what a node needs works all the same.
func TestUnderSecureBootTheSignedDiskBootsAndServes(t *testing.T) {
	s, r := newSecure(t), startRouter(t)
	d := diskWithState(t, s.disk(s.signed("loader.efi"), s.signed("weir.efi")), good(t, r.port).files())
	n := switchOn(t, s.machine(vm.Boot{Disk: true}, d))
	n.shows(secureKernel)
	n.fine(uefiPatience, phases...)
	n.serves(r)
	n.eventuallySays("nics", "vfio-pci|"+northMAC.String()+"|"+southMAC.String(), patience)
	n.eventuallySays("status", "slot a|read-write", patience)
}

func TestUnderSecureBootAnAlteredSlotIsRefusedAndTheOtherStarts(t *testing.T) {
	s := newSecure(t)
	good := s.signed("weir.efi")
	d := s.disk(s.signed("loader.efi"), s.altered(s.signed("weir.efi")))
	slotB := fmt.Sprintf("%s@@%dM", d, 1+(disk.BootSize+disk.SlotSize)>>20)
	command(t, "mmd", "-i", slotB, "::EFI", "::EFI/weir")
	command(t, "mcopy", "-i", slotB, good, "::"+disk.SlotPath)
	n := switchOn(t, s.machine(vm.Boot{Disk: true}, d))
	n.shows(slotRefused)
	n.shows("Weir boot loader: starting slot b")
	n.shows(secureKernel)
}

func TestLongUnderSecureBootTheSignedUnifiedImageServes(t *testing.T) {
	s, r := newSecure(t), startRouter(t)
	n := switchOn(t, s.machine(vm.Boot{UKI: s.signed("weir.efi")}, stateDisk(t, good(t, r.port).files())))
	n.shows(secureKernel)
	n.fine(uefiPatience, phases...)
	n.serves(r)
}

// Lockdown forbids what uio needs.
func TestLongUnderSecureBootANodeWithoutAnIOMMUSaysWhatToDo(t *testing.T) {
	s := newSecure(t)
	m := s.machine(vm.Boot{UKI: s.signed("weir.efi")}, stateDisk(t, good(t, freePort(t)).files()))
	m.IOMMU = false
	n := switchOn(t, m)
	n.shows(secureKernel)
	n.wants("nics", "failed", uefiPatience, "behind no IOMMU|enable the IOMMU|switch Secure Boot off", "reboot")
}

func TestLongUnderSecureBootWhatIsNotSignedOrAlteredIsRefused(t *testing.T) {
	s := newSecure(t)
	for name, boot := range map[string]struct {
		vm.Boot
		disk string
	}{
		"the image without a signature":        {Boot: vm.Boot{UKI: image("weir.efi")}},
		"the altered image":                    {Boot: vm.Boot{UKI: s.altered(s.signed("weir.efi"))}},
		"the image signed by a stranger":       {Boot: vm.Boot{UKI: newSecure(t).signed("weir.efi")}},
		"the boot loader without a signature":  {Boot: vm.Boot{Disk: true}, disk: s.disk(image("loader.efi"), s.signed("weir.efi"))},
		"the altered boot loader":              {Boot: vm.Boot{Disk: true}, disk: s.disk(s.altered(s.signed("loader.efi")), s.signed("weir.efi"))},
		"behind the loader, a slot not signed": {Boot: vm.Boot{Disk: true}, disk: s.disk(s.signed("loader.efi"), image("weir.efi"))},
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			m := s.machine(boot.Boot)
			m.NICs = nil // it would try to boot from them
			if boot.disk != "" {
				m.Disks = []vm.Disk{{Path: boot.disk}}
			}
			n := switchOn(t, m)
			n.shows(denied)
			n.shows(nothingElse)
		})
	}
}
