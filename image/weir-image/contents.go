package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/image/initramfs"
	"weir/image/manifest"

	"github.com/u-root/mkuimage/cpio"
)

// groups measures what the archive consists of, largest first.
func groups(a initramfs.Archive) ([]manifest.Group, error) {
	found := map[string]manifest.Group{}
	err := cpio.ForEachRecord(a.Reader(), func(r cpio.Record) error {
		if r.Mode&cpio.S_IFMT != cpio.S_IFREG {
			return nil
		}
		name := group(r.Name)
		g := found[name]
		g.Name = name
		g.Files++
		g.Size += int64(r.FileSize)
		found[name] = g
		return nil
	})
	return slices.SortedFunc(maps.Values(found), func(x, y manifest.Group) int {
		return cmp.Or(cmp.Compare(y.Size, x.Size), strings.Compare(x.Name, y.Name))
	}), err
}

// writeContents writes contents.txt: every name with its mode and size in bytes,
// sorted.
func writeContents(dir string, a initramfs.Archive) error {
	var lines []string
	err := cpio.ForEachRecord(a.Reader(), func(r cpio.Record) error {
		lines = append(lines, fmt.Sprintf("%s\t%06o\t%d\n", r.Name, r.Mode, r.FileSize))
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(lines)
	return os.WriteFile(filepath.Join(dir, "contents.txt"), []byte(strings.Join(lines, "")), 0o644)
}

// table is what "make image" prints.
func table(m manifest.Manifest, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Weir %s, Linux %s, %s\n\n", m.Version, m.Kernel, dir)
	for _, o := range m.Outputs {
		fmt.Fprintf(&b, "  %-30s %8.1f MiB  %s\n", o.Name, mib(o.Size), o.SHA256[:16])
	}
	var total manifest.Group
	b.WriteString("\nUnpacked, the initramfs consists of\n")
	for _, g := range m.Space {
		fmt.Fprintf(&b, "  %-30s %8.1f MiB  %3d files\n", g.Name, mib(g.Size), g.Files)
		total.Size += g.Size
		total.Files += g.Files
	}
	fmt.Fprintf(&b, "  %-30s %8.1f MiB  %3d files\n\nEvery file: %s\n", "together", mib(total.Size), total.Files, filepath.Join(dir, "contents.txt"))
	return b.String()
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
