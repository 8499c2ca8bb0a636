package state

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
		d := disk{name: dir.Name(), size: number(at, "size") * 512, sector: int(number(at, "queue/logical_block_size")), readOnly: number(at, "ro") == 1}
		if d.size <= 0 {
			continue // a drive without a medium
		}
		if d.sector == 0 {
			d.sector = 512
		}
		d.seed = text(at, "wwid") + text(at, "device/wwid") + text(at, "serial") + text(at, "device/serial") + strconv.FormatInt(d.size, 10)
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
		return numberOr(at, "partition", -1) == int64(number) && numberOr(at, "start", -1)*512 == start
	})
	if i < 0 {
		return ""
	}
	return children[i].Name()
}

func number(dir, file string) int64 { return numberOr(dir, file, 0) }

func numberOr(dir, file string, otherwise int64) int64 {
	v, err := strconv.ParseInt(text(dir, file), 10, 64)
	if err != nil {
		return otherwise
	}
	return v
}

// text is a file of sysfs; one that is not there is empty.
func text(dir, file string) string {
	b, _ := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSpace(string(b))
}
