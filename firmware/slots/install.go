package slots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/firmware/trial"
	"weir/image/disk"
	"weir/init/gpt"
)

// ErrNoTarget means that no disk was made for the image: none was marked.
var ErrNoTarget = errors.New("no disk has the partitions of the image, " + disk.Boot + ", " + disk.SlotA + " and " + disk.SlotB +
	`; attach a disk that begins with the line "WEIR STATE DISK" and is otherwise zeros in its first and last MiB`)

// FindTarget is the disk that has the partitions of the image, whatever is in them,
// for a machine that was booted over the network. Root is as for Find.
func FindTarget(root string) (*Disk, error) {
	names, err := os.ReadDir(filepath.Join(root, "/sys/block"))
	if err != nil {
		return nil, fmt.Errorf("look for a disk: %w", err)
	}
	var found []*Disk
	for _, name := range names {
		d, err := read(root, name.Name(), func(all []gpt.Partition) bool {
			return slices.ContainsFunc(all, func(p gpt.Partition) bool { return p.Name == disk.Boot })
		})
		if err != nil {
			return nil, fmt.Errorf("look for a disk: /dev/%s: %w", name.Name(), err)
		}
		if d != nil {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return nil, ErrNoTarget
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%s and %s both have the partitions of the image: remove the disk that is not to boot", found[0].Name, found[1].Name)
}

// Install makes a disk boot: the image in slot A, nothing in slot B, and the boot
// loader last, without which firmware starts nothing. Everything is read back. It
// refuses the disk that runs.
func (d *Disk) Install(ctx context.Context, loader, unified Image) error {
	if d.Running != trial.None {
		return fmt.Errorf("slot %v of %s runs", d.Running, d.Name)
	}
	boot, err := newVolume(d.Boot.Size, d.Boot.Start, strings.ToUpper(d.Boot.Name), disk.BootPath, loader.Size, trial.ReservedBytes)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	slot, err := d.A.volume(unified.Size)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	for _, p := range []Partition{d.Boot, d.B} {
		if err := p.with(func(f *File) error { return flushed(f, make([]byte, block), 0) }); err != nil {
			return fmt.Errorf("install: %w", err)
		}
	}
	if err := d.A.with(func(f *File) error { return slot.write(ctx, f, unified) }); err != nil {
		return fmt.Errorf("install: write slot A: %w", err)
	}
	if err := d.Boot.with(func(f *File) error { return boot.write(ctx, f, loader) }); err != nil {
		return fmt.Errorf("install: write the boot loader: %w", err)
	}
	return nil
}

func (p Partition) with(do func(*File) error) error {
	f, err := open(p.path)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}
