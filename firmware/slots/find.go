// Package slots finds the slots of the disk that a machine was booted from, and
// writes the one that does not run (S-104).
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
	"weir/init/slot"
	"weir/init/sysfs"
)

// ErrNotFromSlot means that the machine was booted over the network, or from
// something that is no slot.
var ErrNotFromSlot = errors.New("this node was not booted from a slot of a disk")

// Disk is the one that the machine was booted from.
type Disk struct {
	Name    string     // "vda"
	Running trial.Slot // never None
	Boot    Partition  // the boot loader's, with the record
	A, B    Partition
}

// Partition of a Disk.
type Partition struct {
	gpt.Partition
	Device string // "/dev/vda2"
	path   string // the one to open
}

// Slot is the partition of a slot, which is not None.
func (d *Disk) Slot(s trial.Slot) Partition {
	if s == trial.B {
		return d.B
	}
	return d.A
}

// Find looks at the partition tables of all disks. Root is "" on a machine, a
// folder in a test. The error is ErrNotFromSlot where there is nothing to find.
func Find(root string) (*Disk, error) {
	running := slot.Partition(root)
	if running == "" {
		return nil, ErrNotFromSlot
	}
	names, err := os.ReadDir(filepath.Join(root, "/sys/block"))
	if err != nil {
		return nil, fmt.Errorf("look for the slots: %w", err)
	}
	var found []*Disk
	var failed error
	for _, name := range names {
		d, err := look(root, name.Name(), running)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("look for the slots on /dev/%s: %w", name.Name(), err))
		}
		if d != nil {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("%s and %s both have the partition %s that this node was booted from: remove the disk that does not belong to it",
			found[0].Name, found[1].Name, running)
	case failed != nil:
		return nil, failed
	}
	return nil, fmt.Errorf("no disk has the partition %s that this node was booted from: %w", running, ErrNotFromSlot)
}

// look gives a disk if it has the running partition, and that is a slot.
func look(root, name, running string) (*Disk, error) {
	d, err := read(root, name, func(all []gpt.Partition) bool {
		return slices.ContainsFunc(all, func(p gpt.Partition) bool { return p.ID == running })
	})
	if d == nil || err != nil {
		return nil, err
	}
	switch running {
	case d.A.ID:
		d.Running = trial.A
	case d.B.ID:
		d.Running = trial.B
	default:
		return nil, nil
	}
	return d, nil
}

// read gives a disk with slots whose partitions are the wanted ones; nil: it is another.
func read(root, name string, wanted func([]gpt.Partition) bool) (*Disk, error) {
	at := filepath.Join(root, "/sys/block", name)
	if _, err := os.Stat(filepath.Join(at, "device")); err != nil || strings.HasPrefix(name, "sr") {
		return nil, nil // of the kernel's own making, or an optical drive
	}
	f, err := os.Open(filepath.Join(root, "/dev", name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := sysfs.Number(at+"/size", 0) * 512
	bytes := int(sysfs.Number(at+"/queue/logical_block_size", 512))
	all, err := gpt.Read(f, size, bytes)
	if errors.Is(err, gpt.ErrNone) {
		return nil, nil
	}
	if err != nil || !wanted(all) {
		return nil, err
	}
	if bytes != sector {
		return nil, fmt.Errorf("its sectors have %d bytes: slots need a disk with sectors of 512", bytes)
	}
	d := &Disk{Name: name}
	for label, to := range map[string]*Partition{disk.Boot: &d.Boot, disk.SlotA: &d.A, disk.SlotB: &d.B} {
		if *to, err = labelled(root, name, all, label); err != nil {
			return nil, err
		}
	}
	if d.A.ID == d.B.ID {
		return nil, errors.New("its slots have the same GUID: write the image to the disk again")
	}
	return d, nil
}

// labelled is the one partition with that label.
func labelled(root, disk string, all []gpt.Partition, label string) (Partition, error) {
	var found []gpt.Partition
	for _, p := range all {
		if p.Name == label {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return Partition{}, fmt.Errorf("it has %d partitions labelled %s, not one: write the image to the disk again", len(found), label)
	}
	dir := filepath.Join(root, "/sys/block", disk)
	children, _ := os.ReadDir(dir)
	for _, c := range children {
		at := filepath.Join(dir, c.Name())
		if sysfs.Number(at+"/partition", -1) == int64(found[0].Number) && sysfs.Number(at+"/start", -1)*512 == found[0].Start {
			device := "/dev/" + c.Name()
			return Partition{Partition: found[0], Device: device, path: filepath.Join(root, device)}, nil
		}
	}
	return Partition{}, fmt.Errorf("the kernel does not show its partition %d, labelled %s: reboot", found[0].Number, label)
}

// Write puts a unified image into a slot and reads it back. It refuses the slot
// that runs. Power may fail at any moment, see volume.write.
func (d *Disk) Write(ctx context.Context, s trial.Slot, i Image) error {
	if s != d.Running.Other() {
		return fmt.Errorf("slot %v is not written: slot %v runs", s, d.Running)
	}
	p := d.Slot(s)
	f, err := open(p.path)
	if err != nil {
		return fmt.Errorf("write slot %v: %w", s, err)
	}
	defer f.Close()
	v, err := p.volume(i.Size)
	if err == nil {
		err = v.write(ctx, f, i)
	}
	if err != nil {
		return fmt.Errorf("write slot %v: %w", s, err)
	}
	return nil
}

// Fits refuses, with ErrTooSmall, an image of so many bytes that the slot beside
// the running one has no room for. It is to be asked before anything is changed.
func (d *Disk) Fits(size int64) error {
	_, err := d.Slot(d.Running.Other()).volume(size)
	return err
}

// volume is what the partition becomes with an image of so many bytes.
func (p Partition) volume(size int64) (volume, error) {
	return newVolume(p.Size, p.Start, strings.ToUpper(p.Name), disk.SlotPath, size, 0)
}

// Record opens the place of the record. The caller closes it.
func (d *Disk) Record() (*File, error) {
	f, err := open(d.Boot.path)
	if err != nil {
		return nil, fmt.Errorf("the record of upgrades: %w", err)
	}
	head := make([]byte, block)
	if _, err := f.ReadAt(head, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("the record of upgrades: %w", err)
	}
	if err := reserves(head); err != nil {
		f.Close()
		return nil, fmt.Errorf("the record of upgrades on %s: %w", d.Boot.Device, err)
	}
	return f, nil
}
