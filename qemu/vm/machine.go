// Package vm starts QEMU machines from a description, and reads and writes
// their serial consoles. It knows nothing of labs: namespaces and bridges are
// its users' business.
package vm

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Machine describes one computer, of QEMU's type q35.
type Machine struct {
	Name   string // of the window and in messages: "lb1"
	Dir    string // its sockets, logs and firmware variables; made by Prepare
	CPUs   int    // default 1
	Memory int    // MiB
	Boot   Boot
	Disks  []Disk
	NICs   []NIC

	// IOMMU puts an Intel IOMMU before the NICs, so that vfio-pci can drive
	// them; the guest needs intel_iommu=on.
	IOMMU bool
	// UUID and Serial are what its SMBIOS says of it; empty: QEMU's default.
	UUID, Serial string
	// Watchdog is an i6300esb that resets the machine.
	Watchdog bool
	// CrashStore gives its ACPI a persistent store (ERST) in Dir, where the
	// kernel keeps its last words.
	CrashStore bool
	// TPM is the control socket of an swtpm(8) that is its TPM 2.0; empty: it has none.
	TPM string
	// Headless leaves the display out, and with it the console there.
	Headless bool
	// NoReboot ends QEMU where the machine would boot again.
	NoReboot bool
	// SecureBoot is a file of firmware variables with keys in it: UEFI starts what
	// they have signed and nothing else. Empty: no keys.
	SecureBoot string
	// Namespace is the network namespace with its taps; empty: the caller's.
	Namespace string
}

// Boot is what the machine starts from. Exactly one of Kernel, UKI, Disk and
// Network is set.
type Boot struct {
	Kernel, Initrd, Cmdline string // loaded by QEMU itself; under TCG the command line gets some options more
	UKI                     string // by UEFI, as the only file of its system partition
	Disk                    bool   // by UEFI, from Disks
	Network                 string // firmware that boots from the NIC with Boot
}

// Firmware that boots over the network, all Debian's: the NIC's iPXE under SeaBIOS,
// and OVMF's own PXE and HTTP clients.
const (
	NetworkBIOS = "iPXE, BIOS"
	NetworkPXE  = "OVMF, PXE"
	NetworkHTTP = "OVMF, HTTP"
)

// UEFI reports whether the machine needs OVMF.
func (b Boot) UEFI() bool { return b.Kernel == "" && b.Network != NetworkBIOS }

// Disk is a raw image, attached as virtio disk.
type Disk struct {
	Path     string
	Serial   string // at most 20 bytes; empty: none
	ReadOnly bool
	// WriteLog records every write and flush in this file, in the format of
	// Linux's dm-log-writes, so that power cuts can be replayed.
	WriteLog string
}

// NIC is a virtio network interface. Its PCI address is 0000:00:10.0 for the
// first, 0000:00:11.0 for the second, and so on.
type NIC struct {
	Name string // of the interface in QMP: "north"
	MAC  net.HardwareAddr
	// Tap is the host's interface that it is connected to.
	Tap string
	// User are the options of QEMU's own network, with DHCP and a gateway that is
	// the host: "net=10.30.0.0/24,host=10.30.0.2". Neither Tap nor User: a cable
	// that leads nowhere.
	User string
	// Boot has the firmware boot from it: see Boot.Network.
	Boot bool
}

// Files of a machine's directory.
func (m *Machine) SerialSocket() string { return filepath.Join(m.Dir, "serial.sock") }
func (m *Machine) SerialLog() string    { return filepath.Join(m.Dir, "serial.log") }
func (m *Machine) QMPSocket() string    { return filepath.Join(m.Dir, "qmp.sock") }
func (m *Machine) QEMULog() string      { return filepath.Join(m.Dir, "qemu.log") }
func (m *Machine) varsFile() string     { return filepath.Join(m.Dir, "uefi-vars.fd") }
func (m *Machine) crashFile() string    { return filepath.Join(m.Dir, "erst.bin") }

// Where Debian's ovmf puts the firmware.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// longestSocket is the longest path that fits into sockaddr_un.
const longestSocket = 107

// Prepare makes the files that QEMU wants before it starts. What outlives a
// power cut (firmware variables, crash store) stays as it is.
func (m *Machine) Prepare() error {
	if len(m.SerialSocket()) > longestSocket {
		return fmt.Errorf("prepare machine %s: %s is too long for a Unix socket: use a shorter directory", m.Name, m.SerialSocket())
	}
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return fmt.Errorf("prepare machine %s: %w", m.Name, err)
	}
	for _, socket := range []string{m.SerialSocket(), m.QMPSocket()} {
		if err := os.RemoveAll(socket); err != nil {
			return fmt.Errorf("prepare machine %s: %w", m.Name, err)
		}
	}
	if !m.Boot.UEFI() {
		return nil
	}
	if _, err := os.Stat(m.varsFile()); err != nil {
		_, initial := m.firmware()
		vars, err := os.ReadFile(initial)
		if err == nil {
			err = os.WriteFile(m.varsFile(), vars, 0o600)
		}
		if err != nil {
			return fmt.Errorf("prepare machine %s: %w: install the package ovmf (make deps)", m.Name, err)
		}
	}
	if m.Boot.UKI == "" {
		return nil
	}
	if err := linkUKI(m.espDir(), m.Boot.UKI); err != nil {
		return fmt.Errorf("prepare machine %s: %w", m.Name, err)
	}
	return nil
}

// espDir is what QEMU shows as a FAT file system to the firmware.
func (m *Machine) espDir() string { return filepath.Join(m.Dir, "esp") }

// linkUKI makes the UKI the file that UEFI boots by default (UEFI 2.10, 3.5.1.1).
func linkUKI(esp, uki string) error {
	dir := filepath.Join(esp, "EFI", "BOOT")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "BOOTX64.EFI")
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	uki, err := filepath.Abs(uki)
	if err != nil {
		return err
	}
	return os.Symlink(uki, file)
}
