package slots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"weir/firmware/trial"
	"weir/image/disk"
)

// Use calls f with the path of the unified image in a slot, which is read-only and
// there until f returns. Temp is a folder for the mount point.
func (d *Disk) Use(s trial.Slot, temp string, f func(path string) error) (err error) {
	p := d.Slot(s)
	at, err := os.MkdirTemp(temp, "slot-")
	if err != nil {
		return fmt.Errorf("read slot %v: %w", s, err)
	}
	defer func() { err = errors.Join(err, os.Remove(at)) }() // and never what is mounted there
	if err := unix.Mount(p.path, at, "vfat", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("read slot %v: mount %s: %w", s, p.Device, err)
	}
	err = f(filepath.Join(at, disk.SlotPath))
	if u := unix.Unmount(at, 0); u != nil {
		err = errors.Join(err, fmt.Errorf("unmount %s: %w", p.Device, u))
	}
	return err
}
