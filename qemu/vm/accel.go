package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Accelerations.
const (
	TCG = "tcg" // QEMU's own translator
	KVM = "kvm"
)

// probePatience is how long a kernel may take to its end under KVM, where it
// needs two seconds. On machines whose /dev/kvm is a trap it hangs.
const probePatience = 20 * time.Second

// Accelerate says how machines run here: as QEMU_ACCEL says, or, if that is
// unset or "auto", by letting KVM boot the kernel. The answer is kept in the
// build directory until this machine boots again.
func Accelerate(ctx context.Context, build, kernel string) (string, error) {
	switch asked := os.Getenv("QEMU_ACCEL"); asked {
	case TCG, KVM:
		return asked, nil
	case "", "auto":
	default:
		return "", fmt.Errorf("QEMU_ACCEL is %q: use auto, tcg or kvm", asked)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("choose acceleration: %w", err)
	}
	cache := filepath.Join(build, "qemu-accel")
	if kept, ok := strings.CutPrefix(readText(cache), strings.TrimSpace(string(boot))+" "); ok {
		return strings.TrimSpace(kept), nil
	}
	accel := TCG
	if works, err := kvmWorks(ctx, kernel); err != nil {
		return "", err
	} else if works {
		accel = KVM
	}
	if err := os.MkdirAll(build, 0o755); err != nil {
		return "", fmt.Errorf("choose acceleration: %w", err)
	}
	if err := os.WriteFile(cache, []byte(strings.TrimSpace(string(boot))+" "+accel+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("choose acceleration: %w", err)
	}
	return accel, nil
}

func readText(path string) string {
	text, _ := os.ReadFile(path) // missing: as good as empty
	return string(text)
}

// noRoot is what a kernel without an initramfs says when all of it has started.
const noRoot = "VFS: Unable to mount root fs"

// kvmWorks boots the kernel without anything else: it works if it gets as far
// as looking for a root file system.
func kvmWorks(ctx context.Context, kernel string) (bool, error) {
	if f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return false, nil
	} else {
		f.Close()
	}
	if _, err := os.Stat(kernel); err != nil {
		return false, fmt.Errorf("try whether KVM works: %w: run make image", err)
	}
	dir, err := os.MkdirTemp("", "weir-kvm")
	if err != nil {
		return false, fmt.Errorf("try whether KVM works: %w", err)
	}
	defer os.RemoveAll(dir)
	m := &Machine{Name: "probe", Dir: dir, Memory: 512, NoReboot: true, IOMMU: true,
		Boot: Boot{Kernel: kernel, Cmdline: "console=ttyS0,115200 panic=-1"}}
	r, err := m.Start(KVM)
	if err != nil {
		return false, nil // QEMU does not even start with it
	}
	defer r.Kill()
	defer context.AfterFunc(ctx, func() { r.Kill() })()
	c, err := r.Console()
	if err != nil {
		return false, nil // it has ended at once
	}
	defer c.Close()
	booted := c.Expect(probePatience, noRoot) == nil
	if ctx.Err() != nil {
		return false, fmt.Errorf("try whether KVM works: %w", context.Cause(ctx))
	}
	return booted, nil
}
