package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"weir/image/initramfs"
	"weir/image/inputs"
	"weir/image/modules"
)

// kernelModules adds the wanted modules and depmod's files for just these.
func (b *build) kernelModules(a initramfs.Archive, in sources) error {
	kernel, err := modules.Version(in.kernel.Root)
	if err != nil {
		return err
	}
	from := filepath.Join(in.kernel.Root, "lib", "modules", kernel)
	builtin, err := os.ReadFile(filepath.Join(from, "modules.builtin"))
	if err != nil {
		return err
	}
	paths, err := modules.Closure(from, builtin, modules.Wanted)
	if err != nil {
		return err
	}
	staging := filepath.Join(b.work, "modules")
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	to := filepath.Join(staging, "lib", "modules", kernel)
	for _, path := range append(paths, "modules.builtin", "modules.builtin.modinfo", "modules.order") {
		if err := copyFile(filepath.Join(from, path), filepath.Join(to, path)); err != nil {
			return err
		}
	}
	if err := modules.Depmod(staging, kernel); err != nil {
		return err
	}
	for _, path := range append(paths, "modules.dep", "modules.alias", "modules.softdep", "modules.builtin") {
		if err := a.File(filepath.Join("lib/modules", kernel, path), filepath.Join(to, path), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commands is the archive of u-root's commands, compiled when the list, the
// module versions or the toolchain have changed.
func (b *build) commands() (string, error) {
	key := sha256.New()
	fmt.Fprintln(key, runtime.Version(), initramfs.CommandsKey())
	for _, name := range []string{"go.mod", "go.sum"} {
		hash, err := inputs.HashFile(filepath.Join(b.source, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(key, hash)
	}
	output := filepath.Join(b.work, "commands-"+hex.EncodeToString(key.Sum(nil))[:16]+".cpio")
	if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
		return output, err
	}
	temp, err := os.MkdirTemp(b.work, "commands-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	fmt.Println("compiling u-root's commands")
	return output, initramfs.BuildCommands(b.source, temp, output)
}

// copyFile puts a copy in the place of what is there, which others may be using.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	part := to + ".part"
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// group is the part of the image that a file counts to in the summary.
func group(name string) string {
	switch {
	case strings.HasPrefix(name, "lib/modules/"):
		return "kernel modules"
	case strings.HasPrefix(name, "lib/firmware/"):
		return "firmware"
	case strings.HasPrefix(name, "lib"), strings.HasPrefix(name, "sbin/"):
		return "e2fsck, mke2fs and libraries"
	case name == "bbin/bb":
		return "u-root commands"
	case name == "init":
		return "/init"
	case strings.HasPrefix(name, "bin/"):
		return "/" + name
	}
	return "others"
}
