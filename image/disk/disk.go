// Package disk makes the disk image: a GPT with two slots that firmware boots
// from and the state partition (S-100).
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
	// SlotSize holds two unified images: an update is written beside what is there.
	SlotSize = 256 * mib
	// StateSize is what the state partition of the image has.
	StateSize = 512 * mib
	// Size is that of the image: a MiB before the first partition and one behind
	// the last for the two copies of the table.
	Size = mib + 2*SlotSize + StateSize + mib
)

// Labels of the GPT's partitions, by which a node finds them.
const (
	SlotA = "weir-a"
	SlotB = "weir-b"
	State = "weir-state"
)

// BootPath is where firmware looks for what to start on a disk that it knows
// nothing of.
const BootPath = "EFI/BOOT/BOOTX64.EFI"

// Partition types: EFI system partition and Linux file system.
const (
	typeSlot  = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	typeState = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
)

// Make writes the disk image: slot A holds the unified kernel image, slot B an
// empty file system, the state partition only zeros, which tell a node to make its
// file system there. Files get the given time. Output is sparse.
//
// Disks that start as this image have equal GUIDs, see GUID.
func Make(temp, unified, output string, when time.Time) error {
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
	for i, slot := range []struct{ label, boot string }{{SlotA, unified}, {SlotB, ""}} {
		part := filepath.Join(temp, slot.label)
		if err := slotFileSystem(part, slot.label, slot.boot, when); err != nil {
			return err
		}
		err := run(when, "dd", "if="+part, "of="+made, "bs=1M", "seek="+strconv.Itoa(1+i*SlotSize/mib), "conv=notrunc,sparse", "status=none")
		if err != nil {
			return err
		}
	}
	return os.Rename(made, output)
}

// table writes the GPT. Its GUIDs are functions of the labels.
func table(path string) error {
	args := []string{"--clear", "--set-alignment=2048", "--disk-guid=" + GUID("weir")}
	start := 1
	for i, p := range []struct {
		label, kind string
		size        int
	}{{SlotA, typeSlot, SlotSize}, {SlotB, typeSlot, SlotSize}, {State, typeState, StateSize}} {
		n := strconv.Itoa(i + 1)
		args = append(args,
			fmt.Sprintf("--new=%s:%dM:+%dM", n, start, p.size/mib), "--typecode="+n+":"+p.kind,
			"--change-name="+n+":"+p.label, "--partition-guid="+n+":"+GUID(p.label))
		start += p.size / mib
	}
	return run(time.Time{}, "/sbin/sgdisk", append(args, path)...)
}

// slotFileSystem makes a VFAT file system in a file, with the unified image in it
// if there is one.
func slotFileSystem(path, label, unified string, when time.Time) error {
	if err := truncate(path, SlotSize); err != nil {
		return err
	}
	serial := fmt.Sprintf("%.4x", sha256.Sum256([]byte(label)))
	if err := run(when, "/sbin/mkfs.vfat", "--invariant", "-F", "32", "-i", serial, "-n", strings.ToUpper(label), path); err != nil {
		return err
	}
	if unified == "" {
		return nil
	}
	if err := os.Chtimes(unified, when, when); err != nil {
		return err
	}
	for _, folder := range []string{"EFI", "EFI/BOOT"} {
		if err := run(when, "mmd", "-i", path, "::"+folder); err != nil {
			return err
		}
	}
	return run(when, "mcopy", "-m", "-i", path, unified, "::"+BootPath)
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
