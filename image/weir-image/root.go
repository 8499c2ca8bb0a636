package main

import (
	"path/filepath"

	"weir/image/initramfs"
)

// programs are ours: name in build/bin, place in the root.
var programs = []struct{ name, place string }{
	{"init", "init"},
	{"dataplane", "bin/dataplane"},
	{"noded", "bin/noded"},
	{"weirctl", "bin/weirctl"},
	{"console", "bin/console"},
	{"updated", "bin/updated"},
}

// root puts the contents of the initramfs together; trusted is the root of updates.
func (b *build) root(in sources, r release, trusted []byte) (initramfs.Archive, error) {
	a := initramfs.New()
	skeleton(a)
	a.Text("etc/weir/release.json", r.text(), 0o644)
	a.Text("etc/weir/root.json", string(trusted), 0o644)
	for _, p := range programs {
		if err := a.File(p.place, filepath.Join(b.bin, p.name), 0o755); err != nil {
			return a, err
		}
	}
	for _, program := range []string{"sbin/e2fsck", "sbin/mke2fs"} {
		if err := a.Program(program, in.e2fsRoots()); err != nil {
			return a, err
		}
	}
	if err := a.File("etc/mke2fs.conf", filepath.Join(in.e2fs[0].Root, "etc/mke2fs.conf"), 0o644); err != nil {
		return a, err
	}
	if err := b.kernelModules(a, in); err != nil {
		return a, err
	}
	if b.firmware != "" {
		if err := a.Tree("lib/firmware", b.firmware, 0o644); err != nil {
			return a, err
		}
	}
	commands, err := b.commands()
	if err != nil {
		return a, err
	}
	a.LinkCommands()
	return a, a.Merge(commands)
}

// skeleton is what programs expect of a root: mount points, the two devices that
// PID 1 needs before it has mounted any, and links. DPDK refuses to run when the
// root or /var/run can be written by others.
func skeleton(a initramfs.Archive) {
	a.Dir(0o755, "dev", "etc", "mnt", "proc", "run", "sys", "var", "var/lib", "var/lib/weir", "var/log")
	a.Dir(0o700, "root")
	a.Dir(0o1777, "tmp")
	a.Device("dev/console", 0o600, 5, 1)
	a.Device("dev/null", 0o666, 1, 3)
	a.Link("var/run", "../run")
	a.Link("etc/mtab", "../proc/self/mounts")
	a.Text("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 0o644)
	a.Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644)
	a.Text("etc/group", "root:x:0:\n", 0o644)
}
