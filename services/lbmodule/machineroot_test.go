package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// asMachine makes this test binary become a machine's PID 1: its value is the
// folder with the machine's root, a line end, and an empty folder.
const asMachine = "WEIR_TEST_BOOT_MACHINE"

// changes is where the machine finds what in its root is not as it was lent.
const changes = "/run/changes"

// becomeMachine does not return.
func becomeMachine(argument string) {
	runtime.LockOSThread() // the control group's namespace is the thread's
	lower, work, _ := strings.Cut(argument, "\n")
	err := bootMachine(lower, work)
	fmt.Fprintln(os.Stderr, "boot the machine:", err)
	os.Exit(1)
}

// units are of no use here, or meant for a machine's hardware.
var units = []string{"systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udev-trigger.service",
	"systemd-modules-load.service", "systemd-sysctl.service", "systemd-timesyncd.service", "systemd-remount-fs.service",
	"sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "dev-hugepages.mount", "dev-mqueue.mount",
	"proc-sys-fs-binfmt_misc.automount", "systemd-update-utmp.service"}

func bootMachine(lower, work string) error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	root := filepath.Join(work, "root")
	for _, step := range []func() error{
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }, // before all others
		func() error { return mount("tmpfs", work, "tmpfs", 0, "mode=755") },
		func() error { return makeDirs(work, "upper", "work", "root") },
		func() error {
			return mount("overlay", root, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, work, work))
		},
		func() error { return clean(root) },
		func() error { return mountSystem(root) },
		func() error { return makeDevices(filepath.Join(root, "dev")) },
		func() error { return makeDirs(root, changes) },
		func() error {
			return mount(filepath.Join(work, "upper"), filepath.Join(root, changes), "", unix.MS_BIND, "")
		},
		func() error { return maskUnits(filepath.Join(root, "run/systemd/system")) },
		func() error { return os.Chdir(root) },
		func() error { return unix.PivotRoot(".", ".") },
		func() error { return unix.Unmount(".", unix.MNT_DETACH) },
		func() error { return os.Chdir("/") },
		func() error { return unix.Sethostname([]byte("srv1")) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return unix.Exec("/lib/systemd/systemd", []string{"systemd", "--system", "--unit=sysinit.target", "--show-status=0"}, []string{"container=weir", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
}

func maskUnits(dir string) error {
	for _, name := range units {
		if err := os.Symlink("/dev/null", filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// clean takes away what the administrator of the machine that lends its root
// has enabled, and what keeps packages from starting anything.
func clean(root string) error {
	var errs []error
	for _, pattern := range []string{"etc/systemd/system/*.wants", "etc/systemd/system/*.requires", "usr/sbin/policy-rc.d", "etc/fstab", "etc/crypttab", "etc/weir"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		errs = append(errs, err)
		for _, f := range found {
			errs = append(errs, os.RemoveAll(f))
		}
	}
	return errors.Join(errs...)
}

// mountSystem mounts what the kernel tells, as containers see it: settings of the
// network may be changed, which are the namespace's own, all others not.
func mountSystem(root string) error {
	in := func(name string) string { return filepath.Join(root, name) }
	const readOnly = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	return errors.Join(
		mount("proc", in("proc"), "proc", 0, ""),
		mount(in("proc/sys"), in("proc/sys"), "", unix.MS_BIND, ""),
		mount("", in("proc/sys"), "", readOnly, ""),
		mount(in("proc/sys/net"), in("proc/sys/net"), "", unix.MS_BIND, ""),
		mount("", in("proc/sys/net"), "", unix.MS_BIND|unix.MS_REMOUNT, ""),
		mount("sysfs", in("sys"), "sysfs", 0, ""),
		mount("", in("sys"), "", readOnly, ""),
		mount("cgroup2", in("sys/fs/cgroup"), "cgroup2", 0, ""),
		mount("bpf", in("sys/fs/bpf"), "bpf", 0, "mode=700"),
		mount("tmpfs", in("run"), "tmpfs", 0, "mode=755"),
		mount("tmpfs", in("tmp"), "tmpfs", 0, "mode=1777"),
		mount("tmpfs", in("dev"), "tmpfs", 0, "mode=755"),
		os.MkdirAll(in("run/systemd/system"), 0o755),
	)
}

func makeDevices(dev string) error {
	errs := []error{makeDirs(dev, "shm", "pts", "net"), os.Symlink("/proc/self/fd", filepath.Join(dev, "fd"))}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		errs = append(errs, os.WriteFile(filepath.Join(dev, name), nil, 0o644), mount("/dev/"+name, filepath.Join(dev, name), "", unix.MS_BIND, ""))
	}
	errs = append(errs, mount("devpts", filepath.Join(dev, "pts"), "devpts", 0, "newinstance,ptmxmode=0666,mode=620"), os.Symlink("pts/ptmx", filepath.Join(dev, "ptmx")))
	return errors.Join(errs...)
}

func makeDirs(parent string, names ...string) error {
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func mount(what, where, kind string, flags uintptr, data string) error {
	if err := unix.Mount(what, where, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", what, where, err)
	}
	return nil
}
