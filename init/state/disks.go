package state

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/init/sysfs"
)

// disk is a whole disk that the kernel knows.
type disk struct {
	name     string // "vda"
	size     int64  // bytes
	sector   int    // bytes
	readOnly bool
	seed     string // something of this very disk
}

// disks lists them by name. What has no device behind it (loop, RAM, device
// mapper) is none, nor is an optical drive.
func (s *System) disks() []disk {
	dirs, _ := os.ReadDir(filepath.Join(s.Root, "/sys/block")) // in name order
	var all []disk
	for _, dir := range dirs {
		at := filepath.Join(s.Root, "/sys/block", dir.Name())
		if _, err := os.Stat(filepath.Join(at, "device")); err != nil || strings.HasPrefix(dir.Name(), "sr") {
			continue
		}
		d := disk{name: dir.Name(), size: sysfs.Number(at+"/size", 0) * 512, sector: int(sysfs.Number(at+"/queue/logical_block_size", 512)), readOnly: sysfs.Number(at+"/ro", 0) == 1}
		if d.size <= 0 {
			continue // a drive without a medium
		}
		d.seed = sysfs.Text(at+"/wwid") + sysfs.Text(at+"/device/wwid") + sysfs.Text(at+"/serial") + sysfs.Text(at+"/device/serial") + strconv.FormatInt(d.size, 10)
		all = append(all, d)
	}
	return all
}

// partition is the kernel's name of a disk's partition ("vda1", "nvme0n1p1"),
// or empty: it has not read that table.
func (s *System) partition(disk string, number int, start int64) string {
	dir := filepath.Join(s.Root, "/sys/block", disk)
	children, _ := os.ReadDir(dir)
	i := slices.IndexFunc(children, func(c os.DirEntry) bool {
		at := filepath.Join(dir, c.Name())
		return sysfs.Number(at+"/partition", -1) == int64(number) && sysfs.Number(at+"/start", -1)*512 == start
	})
	if i < 0 {
		return ""
	}
	return children[i].Name()
}
