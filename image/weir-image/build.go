package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"weir/image/manifest"
	"weir/image/modules"
)

// commandLine is what the kernel is told, see docs/image.md.
const commandLine = "console=tty0 console=ttyS0,115200 panic=10 oops=panic loglevel=5 intel_iommu=on iommu=pt"

func (b *build) run() error {
	if err := b.absolute(); err != nil {
		return err
	}
	in, err := b.fetch()
	if err != nil {
		return err
	}
	var r release
	if r.Version, err = version(b.source); err != nil {
		return err
	}
	if r.BuildTime, err = buildTime(b.source); err != nil {
		return err
	}
	if r.Kernel, err = modules.Version(in.kernel.Root); err != nil {
		return err
	}
	a, err := b.root(in, r)
	if err != nil {
		return err
	}
	archive := filepath.Join(b.work, "initramfs.cpio")
	if err := a.Write(b.work, archive); err != nil {
		return err
	}
	if err := command("zstd", "-q", "-f", "-15", "-T2", archive, "-o", filepath.Join(b.out, "initramfs.cpio.zst")); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(in.kernel.Root, "boot", "vmlinuz-"+r.Kernel), filepath.Join(b.out, "vmlinuz")); err != nil {
		return err
	}
	m := manifest.Manifest{Version: r.Version, BuildTime: r.BuildTime, Kernel: r.Kernel, CommandLine: commandLine, Locked: in.locked, Inputs: in.all}
	for _, name := range []string{"vmlinuz", "initramfs.cpio.zst"} {
		o, err := manifest.Describe(b.out, name)
		if err != nil {
			return err
		}
		m.Outputs = append(m.Outputs, o)
	}
	return m.Write(b.out)
}

func command(name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
