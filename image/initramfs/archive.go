// Package initramfs puts the archive together that the kernel unpacks as its
// root: sorted, all owned by root and without times, so that equal contents make
// equal archives (S-100).
package initramfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/u-root/mkuimage/cpio"
)

// Archive collects what goes in. Names are relative to the root. A name that is
// there already is an error of the caller and panics.
type Archive struct {
	*cpio.Archive
}

// New is an empty archive; folders that lie above a file need not be added.
func New() Archive { return Archive{cpio.InMemArchive()} }

func (a Archive) add(r cpio.Record) {
	if _, twice := a.Get(r.Name); twice {
		panic("twice in the archive: " + r.Name)
	}
	if err := a.WriteRecord(cpio.MakeReproducible(r)); err != nil {
		panic(err)
	}
}

// Dir adds a folder.
func (a Archive) Dir(mode uint64, names ...string) {
	for _, name := range names {
		a.add(cpio.Directory(name, mode))
	}
}

// Text adds a file.
func (a Archive) Text(name, text string, mode uint64) { a.add(cpio.StaticFile(name, text, mode)) }

// Link adds a symbolic link.
func (a Archive) Link(name, target string) { a.add(cpio.Symlink(name, target)) }

// Device adds a character device.
func (a Archive) Device(name string, mode, major, minor uint64) {
	a.add(cpio.CharDev(name, mode, major, minor))
}

// File adds a file of the building machine, following links.
func (a Archive) File(name, source string, mode uint64) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	a.add(cpio.StaticRecord(data, cpio.Info{Name: name, Mode: cpio.S_IFREG | mode}))
	return nil
}

// Tree adds the files below a folder under the same relative names, all with one
// mode.
func (a Archive) Tree(name, source string, mode uint64) error {
	return filepath.WalkDir(source, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		return a.File(filepath.Join(name, relative), path, mode)
	})
}

// Merge adds the records of an archive in a file, except those that are there.
func (a Archive) Merge(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(data)))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, r := range records {
		if _, there := a.Get(r.Name); !there && strings.TrimSpace(r.Name) != "" {
			a.add(r)
		}
	}
	return nil
}
