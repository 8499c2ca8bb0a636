package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"weir/image/inputs"
)

const (
	lockFile      = "image/inputs.lock"
	kernelPackage = "linux-image-"
)

// e2fsPackages hold e2fsck and mke2fs, which make and mend the state partition,
// and the libraries that they need.
var e2fsPackages = []string{"e2fsprogs", "libext2fs2", "libcom-err2", "libblkid1", "libuuid1", "libc6"}

// hostPackages are used as installed: what is linked into dataplane, what compiles
// it and the boot loader, and what writes the files of the image.
var hostPackages = []string{"libdpdk-dev", "libnuma-dev", "libbsd-dev", "libmd-dev", "libc6-dev", "gcc-12", "binutils", "kmod", "zstd", "mtools", "dosfstools", "gdisk"}

// sources are the inputs, fetched.
type sources struct {
	kernel inputs.Package
	stub   inputs.Package // systemd's EFI stub
	gnuEFI inputs.Package // what the boot loader is linked with
	e2fs   []inputs.Package
	all    []inputs.Input
	locked bool
}

func (s sources) e2fsRoots() (roots []string) {
	for _, p := range s.e2fs {
		roots = append(roots, p.Root)
	}
	return roots
}

// fetch brings the inputs, and says loudly when they are not those of the lock
// file.
func (b *build) fetch() (sources, error) {
	var s sources
	text, err := os.ReadFile(filepath.Join(b.source, lockFile))
	if err != nil {
		return s, err
	}
	lock, err := inputs.ParseLock(text)
	if err != nil {
		return s, err
	}
	if b.updateLock {
		lock = nil
	}
	cache := &inputs.Cache{Dir: filepath.Join(b.work, "packages")}
	if s.kernel, err = fetchKernel(cache, lock); err != nil {
		return s, err
	}
	if s.stub, err = fetchNamed(cache, lock, "systemd-boot-efi"); err != nil {
		return s, err
	}
	if s.gnuEFI, err = fetchNamed(cache, lock, "gnu-efi"); err != nil {
		return s, err
	}
	s.all = append(s.all, s.kernel.Input, s.stub.Input, s.gnuEFI.Input)
	for _, name := range e2fsPackages {
		p, err := fetchNamed(cache, lock, name)
		if err != nil {
			return s, err
		}
		s.e2fs = append(s.e2fs, p)
		s.all = append(s.all, p.Input)
	}
	for _, name := range hostPackages {
		in, err := inputs.Installed(name)
		if err != nil {
			return s, err
		}
		s.all = append(s.all, in)
	}
	s.all = append(s.all, inputs.Input{Name: "go", Version: runtime.Version()})
	firmware, err := hashFirmware(b.firmware)
	if err != nil {
		return s, err
	}
	s.all = append(s.all, firmware...)
	if b.updateLock {
		s.locked = true
		return s, os.WriteFile(filepath.Join(b.source, lockFile), inputs.Format(s.all), 0o644)
	}
	differences := lock.Differences(s.all)
	for _, line := range differences {
		fmt.Fprintln(os.Stderr, "WARNING:", line)
	}
	if len(differences) > 0 {
		fmt.Fprintf(os.Stderr, "WARNING: this image is not the one that %s describes, and manifest.json says so\n", lockFile)
	}
	s.locked = len(differences) == 0
	return s, nil
}

func fetchNamed(cache *inputs.Cache, lock inputs.Lock, name string) (inputs.Package, error) {
	want, found := lock.Find(name)
	if !found {
		want.Name = name
	}
	return cache.Fetch(want)
}

// fetchKernel brings the kernel of the lock file; when Debian has it no longer,
// the one that its metapackage names now.
func fetchKernel(cache *inputs.Cache, lock inputs.Lock) (inputs.Package, error) {
	if want, found := lock.FindPrefix(kernelPackage); found {
		if p, err := cache.Fetch(want); err == nil {
			return p, nil
		}
	}
	name, err := cache.Kernel()
	if err != nil {
		return inputs.Package{}, err
	}
	return cache.Fetch(inputs.Input{Name: name})
}

// hashFirmware names the files below a folder as inputs.
func hashFirmware(dir string) (list []inputs.Input, err error) {
	if dir == "" {
		return nil, nil
	}
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		hash, err := inputs.HashFile(path)
		list = append(list, inputs.Input{Name: "firmware/" + name, Version: "file", SHA256: hash})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("firmware: %w", err)
	}
	return list, nil
}
