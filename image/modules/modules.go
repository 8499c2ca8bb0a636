// Package modules picks kernel modules with all that they depend on.
package modules

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Canonical is the name of a module as the kernel writes it: with underscores.
func Canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// Index finds the module files below a folder: canonical name to path relative
// to it.
func Index(dir string) (map[string]string, error) {
	index := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, ok := strings.CutSuffix(entry.Name(), ".ko"); ok {
			index[Canonical(name)], err = filepath.Rel(dir, path)
		}
		return err
	})
	return index, err
}

// Closure is the wanted modules and all that they depend on, hard (depends=) or
// soft (softdep=, if such a module exists), as sorted paths relative to dir,
// which holds the kernel folder of a kernel's modules. Builtin is the text of
// modules.builtin: names in it need no file.
func Closure(dir string, builtin []byte, wanted []string) ([]string, error) {
	index, err := Index(dir)
	if err != nil {
		return nil, err
	}
	in := map[string]bool{}
	for line := range bytes.Lines(builtin) {
		in[Canonical(strings.TrimSuffix(filepath.Base(strings.TrimSpace(string(line))), ".ko"))] = true
	}
	taken := map[string]string{}
	var take func(name string, hard bool) error
	take = func(name string, hard bool) error {
		name = Canonical(name)
		path, found := index[name]
		switch {
		case taken[name] != "" || in[name]:
			return nil
		case !found && !hard:
			return nil
		case !found:
			return fmt.Errorf("this kernel has no module %s", name)
		}
		taken[name] = path
		hardDeps, softDeps, err := dependencies(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		for _, d := range hardDeps {
			if err := take(d, true); err != nil {
				return fmt.Errorf("%s needs it: %w", name, err)
			}
		}
		for _, d := range softDeps {
			if err := take(d, false); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range wanted {
		if err := take(name, true); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Values(taken)), nil
}

// dependencies reads the section .modinfo: strings key=value, each ended by a
// zero byte.
func dependencies(path string) (hard, soft []string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("module %s: %w", path, err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, nil, fmt.Errorf("module %s has no .modinfo", path)
	}
	data, err := section.Data()
	if err != nil {
		return nil, nil, fmt.Errorf("module %s: %w", path, err)
	}
	for _, entry := range strings.Split(string(data), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			if value != "" {
				hard = append(hard, strings.Split(value, ",")...)
			}
		case "softdep": // "pre: a b post: c"
			for _, word := range strings.Fields(value) {
				if !strings.HasSuffix(word, ":") {
					soft = append(soft, word)
				}
			}
		}
	}
	return hard, soft, nil
}

// Depmod lets depmod write modules.dep, modules.alias and its other files for
// the modules in root/lib/modules/kernel.
func Depmod(root, kernel string) error {
	c := exec.Command("/sbin/depmod", "-b", root, kernel)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, out)
	}
	return nil
}

// Version is the only kernel version below root/lib/modules.
func Version(root string) (string, error) {
	entries, err := os.ReadDir(filepath.Join(root, "lib", "modules"))
	if err != nil {
		return "", err
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("%s/lib/modules: want one kernel version, got %d", root, len(entries))
	}
	return entries[0].Name(), nil
}
