package boottest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/qemu/vm"
)

// How long things may take. A machine under TCG that shares two cores with
// others is slow; what is measured exactly is measured elsewhere.
const (
	bootPatience = 2 * time.Minute // from switching on to the end of the phases
	uefiPatience = 4 * time.Minute // the same through OVMF
	patience     = time.Minute     // anything else on a running node
)

// machine describes the computer under test: three NICs, two cores, a watchdog,
// a crash store, started by QEMU itself.
func machine(t *testing.T, disks ...string) *vm.Machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-vm") // a short path: sockets lie there
	if err != nil {
		t.Fatal(err)
	}
	m := &vm.Machine{
		Name: "lb1", Dir: dir, CPUs: 2, Memory: 768, IOMMU: true, Watchdog: true, CrashStore: true,
		Boot: vm.Boot{Kernel: image("vmlinuz"), Initrd: image("initramfs.cpio.zst"), Cmdline: commandLine(t) + " weir.slot=net"},
		NICs: []vm.NIC{
			{Name: "north", MAC: northMAC, User: northNet},
			{Name: "south", MAC: southMAC, User: southNet},
			{Name: "control", MAC: controlMAC, User: controlNet},
		},
		UUID: "6d5f0f5c-2f0e-4a59-9c38-0123456789ab", Serial: "WEIR-0001",
	}
	for _, path := range disks {
		m.Disks = append(m.Disks, vm.Disk{Path: path})
	}
	t.Cleanup(func() {
		if t.Failed() {
			keep(t, m.SerialLog())
		}
		os.RemoveAll(dir)
	})
	return m
}

// keep copies a serial log to where a developer finds it.
func keep(t *testing.T, log string) {
	to := filepath.Join(build, "boottest", t.Name()+".log")
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Error(err)
		return
	}
	text, err := os.ReadFile(log)
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err != nil {
		t.Error(err)
		return
	}
	t.Logf("what its console showed is in %s", to)
}

// node is a machine that is switched on.
type node struct {
	*vm.Running
	*vm.Console
	t    *testing.T
	life int // where its present boot begins in Text
}

// switchOn starts a machine; it is switched off with the test.
func switchOn(t *testing.T, m *vm.Machine) *node {
	t.Helper()
	r, err := m.Start(accel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Kill(); err != nil {
			t.Error(err)
		}
	})
	c, err := r.Console()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &node{Running: r, Console: c, t: t}
}

// commandLine is what the image's kernel wants to be booted with.
func commandLine(t *testing.T) string {
	t.Helper()
	var manifest struct {
		CommandLine string `json:"command_line"`
	}
	text, err := os.ReadFile(image("manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return manifest.CommandLine
}

// copyOf is a copy of a disk that a test may change.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	command(t, "cp", "--sparse=always", path, to)
	return to
}
