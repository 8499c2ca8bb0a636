package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir/init/gpt"
)

// Label is the GPT label of the state partition.
const Label = "weir-state"

// found is what the search for the state partition came to.
type found struct {
	disks   []disk
	usable  []candidate // partitions labelled as ours that hold a file system or may get one
	marked  []disk      // whole disks that may become state disks
	foreign []string    // labelled as ours, and why they are not touched
}

type candidate struct {
	disk    disk
	device  string // "/dev/vda1"
	content content
}

// search reads the partition tables of all disks. It changes nothing.
func (s *System) search() found {
	f := found{disks: s.disks()}
	for _, d := range f.disks {
		if err := s.look(d, &f); err != nil {
			f.foreign = append(f.foreign, fmt.Sprintf("%s: %v", s.device(d.name), err))
		}
	}
	return f
}

func (s *System) look(d disk, f *found) error {
	file, err := os.Open(s.path(d.name))
	if err != nil {
		return err
	}
	defer file.Close()
	// The mark first: while it stands, a table that is there already is one that
	// was not finished, and the kernel does not look at it.
	ours, err := marked(file, d)
	if ours {
		f.marked = append(f.marked, d)
	}
	if ours || err != nil {
		return err
	}
	parts, err := gpt.Read(file, d.size, d.sector)
	if errors.Is(err, gpt.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Name != Label {
			continue
		}
		name := s.partition(d.name, p.Number, p.Start)
		if name == "" {
			return fmt.Errorf("the kernel does not show partition %d, labelled %s", p.Number, Label)
		}
		c, err := s.content(name)
		if err != nil {
			return fmt.Errorf("%s: %w", s.device(name), err)
		}
		if c == foreign {
			f.foreign = append(f.foreign, fmt.Sprintf("%s is labelled %s, but its content is neither ext4 nor zeros: it is left alone", s.device(name), Label))
			continue
		}
		f.usable = append(f.usable, candidate{d, s.device(name), c})
	}
	return nil
}

func (s *System) content(partition string) (content, error) {
	file, err := os.Open(s.path(partition))
	if err != nil {
		return foreign, err
	}
	defer file.Close()
	return contentOf(file)
}

// choose takes a file system before what is yet to be formatted, then the first
// in name order: a disk plugged in later does not hide the node's state.
func (f *found) choose() (candidate, bool) {
	for _, c := range []content{ext4, interrupted, empty} {
		for _, u := range f.usable {
			if u.content == c {
				return u, true
			}
		}
	}
	return candidate{}, false
}

// device is the path that people and programs know, path the one to open.
func (s *System) device(name string) string { return "/dev/" + name }
func (s *System) path(name string) string   { return filepath.Join(s.Root, s.device(name)) }
