// Package disk makes the disk image: a GPT with the boot loader's partition, two
// slots that it and firmware boot from, and the state partition (S-100).
package disk

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	mib = 1 << 20
	// BootSize is that of the boot loader's partition: the least that every tool
	// makes a FAT32 of.
	BootSize = 64 * mib
	// SlotSize leaves a unified image room to grow.
	SlotSize = 256 * mib
	// StateSize is what the state partition of the image has.
	StateSize = 512 * mib
	// Size is that of the image: a MiB before the first partition and one behind
	// the last for the two copies of the table.
	Size = mib + BootSize + 2*SlotSize + StateSize + mib
)

// Labels of the GPT's partitions, by which a node finds them.
const (
	Boot  = "weir-boot"
	SlotA = "weir-a"
	SlotB = "weir-b"
	State = "weir-state"
)

const (
	// BootPath is where firmware looks for what to start on a disk that it knows
	// nothing of: the boot loader.
	BootPath = "EFI/BOOT/BOOTX64.EFI"
	// SlotPath is the unified image in a slot. Firmware does not start it by itself:
	// it cannot know which slot is good.
	SlotPath = "EFI/weir/weir.efi"
)

// reserved is the number of sectors before the FAT of weir-boot. Behind those of
// the file system itself, they hold the record of upgrades (firmware/trial).
const reserved = 64

// Partition types: EFI system partition and Linux file system.
const (
	typeBoot  = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	typeState = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
)

// Contents are the files that a disk starts with. Nothing but zeros on the state
// partition tells a node to make its file system there.
type Contents struct {
	Loader  string    // path of the boot loader
	Unified string    // path of the unified kernel image, for slot A
	When    time.Time // of the files
}

// Make writes the disk image, using a temporary folder below temp. Slot B holds an
// empty file system. Output is sparse.
//
// Disks that start as this image have equal GUIDs, see GUID.
func (c Contents) Make(temp, output string) error {
	temp, err := os.MkdirTemp(temp, "disk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	made := filepath.Join(temp, "disk")
	if err := truncate(made, Size); err != nil {
		return err
	}
	if err := table(made); err != nil {
		return err
	}
	start := 1
	for _, f := range []fileSystem{
		{Boot, BootSize, reserved, BootPath, c.Loader},
		{SlotA, SlotSize, 32, SlotPath, c.Unified},
		{SlotB, SlotSize, 32, "", ""},
	} {
		part := filepath.Join(temp, f.label)
		if err := f.make(part, c.When); err != nil {
			return err
		}
		err := run(c.When, "dd", "if="+part, "of="+made, "bs=1M", "seek="+strconv.Itoa(start), "conv=notrunc,sparse", "status=none")
		if err != nil {
			return err
		}
		start += f.size / mib
	}
	return os.Rename(made, output)
}

// table writes the GPT. Its GUIDs are functions of the labels. The boot loader
// comes first: that is where firmware begins to look.
func table(path string) error {
	args := []string{"--clear", "--set-alignment=2048", "--disk-guid=" + GUID("weir")}
	start := 1
	for i, p := range []struct {
		label, kind string
		size        int
	}{{Boot, typeBoot, BootSize}, {SlotA, typeBoot, SlotSize}, {SlotB, typeBoot, SlotSize}, {State, typeState, StateSize}} {
		n := strconv.Itoa(i + 1)
		args = append(args,
			fmt.Sprintf("--new=%s:%dM:+%dM", n, start, p.size/mib), "--typecode="+n+":"+p.kind,
			"--change-name="+n+":"+p.label, "--partition-guid="+n+":"+GUID(p.label))
		start += p.size / mib
	}
	return run(time.Time{}, "/sbin/sgdisk", append(args, path)...)
}

// fileSystem is a FAT32 with one file in it, or none.
type fileSystem struct {
	label    string
	size     int // bytes
	reserved int // sectors
	name     string
	from     string // path of the file's contents; empty: none
}

// make makes it in a file.
func (f fileSystem) make(path string, when time.Time) error {
	if err := truncate(path, int64(f.size)); err != nil {
		return err
	}
	serial := fmt.Sprintf("%.4x", sha256.Sum256([]byte(f.label)))
	err := run(when, "/sbin/mkfs.vfat", "--invariant", "-F", "32", "-R", strconv.Itoa(f.reserved), "-i", serial, "-n", strings.ToUpper(f.label), path)
	if err != nil || f.from == "" {
		return err
	}
	if err := os.Chtimes(f.from, when, when); err != nil {
		return err
	}
	folder := filepath.Dir(f.name)
	for _, folder := range []string{filepath.Dir(folder), folder} {
		if err := run(when, "mmd", "-i", path, "::"+folder); err != nil {
			return err
		}
	}
	return run(when, "mcopy", "-m", "-i", path, f.from, "::"+f.name)
}

// GUID is that of the partition with that label: it depends on the label only, so
// what the firmware says it started from tells the slot. Upper case, as in GPT tools.
func GUID(text string) string {
	h := sha256.Sum256([]byte(text))
	h[6] = h[6]&0x0f | 0x80 // RFC 9562, version 8: of our own making
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func truncate(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// run runs a command for which it is the given time, in UTC.
func run(when time.Time, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "MTOOLS_SKIP_CHECK=1", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", max(when.Unix(), 0)))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
