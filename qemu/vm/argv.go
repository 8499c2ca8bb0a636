package vm

import (
	"fmt"
	"strings"
)

// Program is QEMU.
const Program = "qemu-system-x86_64"

// First slots of NICs and disks on the root bus: a disk more or less does not
// move the NICs.
const (
	firstDiskSlot = 0x08
	firstNICSlot  = 0x10
)

// erstBytes is the size of the crash store: room for a dozen records.
const erstBytes = 128 << 10

// Argv is the command line that starts the machine, with "tcg" or "kvm".
func (m *Machine) Argv(accel string) []string {
	argv := []string{Program, "-name", m.Name, "-nodefaults", "-no-user-config", "-display", "none"}
	// Without the disk and bus controllers that nothing is connected to.
	machine := "q35,sata=off,smbus=off"
	if m.IOMMU {
		machine += ",kernel-irqchip=split"
	}
	if m.SecureBoot != "" {
		machine += ",smm=on"
	}
	argv = append(argv, "-M", machine)
	argv = append(argv, m.secureArgs()...)
	argv = append(argv, accelerator(accel)...)
	argv = append(argv, "-smp", fmt.Sprint(max(m.CPUs, 1)), "-m", fmt.Sprint(m.Memory))
	if !m.Headless {
		argv = append(argv, "-device", "VGA")
	}
	if m.IOMMU {
		// Before the devices behind it.
		argv = append(argv, "-device", "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on")
	}
	argv = append(argv, m.bootArgs(accel)...)
	for i, d := range m.Disks {
		argv = append(argv, d.args(i)...)
	}
	for i, n := range m.NICs {
		argv = append(argv, n.args(i, m.IOMMU, m.Boot.Network)...)
	}
	if m.UUID != "" {
		argv = append(argv, "-uuid", m.UUID)
	}
	if m.Serial != "" {
		argv = append(argv, "-smbios", "type=1,manufacturer=Weir,product=QEMU,serial="+comma(m.Serial))
	}
	if m.Watchdog {
		argv = append(argv, "-device", "i6300esb", "-action", "watchdog=reset")
	}
	if m.CrashStore {
		argv = append(argv,
			"-object", fmt.Sprintf("memory-backend-file,id=erst,size=%d,mem-path=%s,share=on", erstBytes, comma(m.crashFile())),
			"-device", "acpi-erst,memdev=erst")
	}
	if m.TPM != "" {
		argv = append(argv, "-chardev", "socket,id=tpm,path="+comma(m.TPM), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0")
	}
	if m.NoReboot {
		argv = append(argv, "-no-reboot")
	}
	return append(argv,
		"-chardev", fmt.Sprintf("socket,id=serial,path=%s,server=on,wait=off,logfile=%s,logappend=on", comma(m.SerialSocket()), comma(m.SerialLog())),
		"-serial", "chardev:serial",
		"-qmp", fmt.Sprintf("unix:%s,server=on,wait=off", comma(m.QMPSocket())))
}

func accelerator(accel string) []string {
	if accel == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// "Enhanced" string instructions are translated byte by byte: without them
	// the kernel clears and copies memory eight times as fast.
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max,erms=off,fsrm=off"}
}

// tcgCmdline is what a kernel should know of translated processors: on a busy
// machine their timer ticks late, which is no sign of a broken one.
const tcgCmdline = "no_timer_check"

// KernelWords are what a machine's kernel should know of its processors.
func KernelWords(accel string) string {
	if accel != TCG {
		return ""
	}
	return tcgCmdline + clockOptions()
}

func (m *Machine) bootArgs(accel string) []string {
	b := m.Boot
	if b.Network == NetworkBIOS {
		return nil
	}
	if !b.UEFI() {
		cmdline := b.Cmdline
		if words := KernelWords(accel); words != "" {
			cmdline += " " + words
		}
		argv := []string{"-kernel", b.Kernel, "-append", cmdline}
		if b.Initrd != "" {
			argv = append(argv, "-initrd", b.Initrd)
		}
		return argv
	}
	code, _ := m.firmware()
	argv := []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + code,
		"-drive", "if=pflash,unit=1,format=raw,file=" + comma(m.varsFile()),
	}
	if b.Network == NetworkHTTP {
		// Debian's OVMF tries PXE before HTTP, and gives neither up for minutes.
		for _, family := range []string{"IPv4", "IPv6"} {
			argv = append(argv, "-fw_cfg", "name=opt/org.tianocore/"+family+"PXESupport,string=n")
		}
	}
	if b.UKI != "" {
		argv = append(argv,
			"-blockdev", "driver=vvfat,node-name=esp,read-only=on,fat-type=16,dir="+comma(m.espDir()),
			"-device", "virtio-blk-pci,drive=esp,bootindex=0")
	}
	return argv
}

func (d Disk) args(i int) []string {
	mode := "read-only=off"
	if d.ReadOnly {
		mode = "read-only=on"
	}
	disk, limits := fmt.Sprintf("disk%d", i), ""
	// What a machine has flushed needs to outlive its power, not the host's.
	argv := []string{"-blockdev", fmt.Sprintf("driver=file,node-name=%s,%s,cache.no-flush=on,filename=%s", disk, mode, comma(d.Path))}
	if d.WriteLog != "" {
		argv = append(argv,
			"-blockdev", fmt.Sprintf("driver=file,node-name=%s-log,cache.no-flush=on,filename=%s", disk, comma(d.WriteLog)),
			"-blockdev", fmt.Sprintf("driver=blklogwrites,node-name=%s-logged,log-sector-size=512,log-super-update-interval=1,file=%s,log=%s-log", disk, disk, disk))
		disk += "-logged"
		// QEMU 7.2 may write the zeroes of one request into the log of another.
		limits = ",write-zeroes=off,discard=off"
	}
	device := fmt.Sprintf("virtio-blk-pci,drive=%s,addr=%#x,bootindex=%d", disk, firstDiskSlot+i, i+1) + limits
	if d.Serial != "" {
		device += ",serial=" + comma(d.Serial)
	}
	return append(argv, "-device", device)
}

func (n NIC) args(i int, iommu bool, network string) []string {
	var netdev string
	switch {
	case n.Tap != "":
		netdev = fmt.Sprintf("tap,id=%s,ifname=%s,script=no,downscript=no", n.Name, n.Tap)
	case n.User != "":
		netdev = fmt.Sprintf("user,id=%s,%s", n.Name, n.User)
	default:
		netdev = fmt.Sprintf("hubport,id=%s,hubid=%d", n.Name, i)
	}
	device := fmt.Sprintf("virtio-net-pci,id=%s-nic,netdev=%s,mac=%v,addr=%#x", n.Name, n.Name, n.MAC, firstNICSlot+i)
	switch {
	case n.Boot && network == NetworkBIOS:
		device += ",bootindex=0" // with its iPXE
	case n.Boot:
		device += ",bootindex=0,romfile="
	default:
		device += ",disable-legacy=on,romfile="
	}
	if iommu && !n.Boot {
		device += ",iommu_platform=on,ats=on"
	}
	return []string{"-netdev", netdev, "-device", device}
}

// comma writes a value as QEMU's option lists want it.
func comma(value string) string { return strings.ReplaceAll(value, ",", ",,") }
