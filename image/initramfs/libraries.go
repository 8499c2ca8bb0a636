package initramfs

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const libraryDir = "lib/x86_64-linux-gnu"

// Folders in which Debian's packages hold what the loader looks for. The loader,
// which libc needs too, is to be found where programs name it.
var libraryDirs = []string{"lib64", libraryDir, "usr/" + libraryDir}

// Program adds a dynamically linked program with its loader and the libraries
// that it needs, all taken from unpacked packages.
func (a Archive) Program(name string, roots []string) error {
	return a.dynamic(name, name, roots)
}

// dynamic adds the file that is called source in one of the roots.
func (a Archive) dynamic(name, source string, roots []string) error {
	if _, there := a.Get(name); there {
		return nil
	}
	path, err := inRoots(source, roots)
	if err != nil {
		return err
	}
	if err := a.File(name, path, 0o755); err != nil {
		return err
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	if loader, err := interpreter(f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	} else if loader != "" {
		if err := a.dynamic(loader, loader, roots); err != nil {
			return err
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, library := range libraries {
		found := false
		for _, dir := range libraryDirs {
			if _, err := inRoots(filepath.Join(dir, library), roots); err != nil {
				continue
			}
			target := filepath.Join(strings.TrimPrefix(dir, "usr/"), library)
			if err := a.dynamic(target, filepath.Join(dir, library), roots); err != nil {
				return err
			}
			found = true
			break
		}
		if !found {
			return fmt.Errorf("%s needs %s, which is in none of the packages", name, library)
		}
	}
	return nil
}

// inRoots finds a file. Links in packages are relative, or name a file of the
// same package by its absolute path.
func inRoots(name string, roots []string) (string, error) {
	for _, root := range roots {
		path := filepath.Join(root, name)
		target, err := os.Readlink(path)
		if err == nil && filepath.IsAbs(target) {
			path = filepath.Join(root, target)
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is in none of the packages: %w", name, os.ErrNotExist)
}

// interpreter is the loader that the program names, relative to the root.
func interpreter(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			data, err := io.ReadAll(p.Open())
			return strings.Trim(string(data), "\x00/"), err
		}
	}
	return "", nil
}
