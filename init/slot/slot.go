// Package slot tells which of a disk's slots the machine was booted from, where
// weir.slot on the boot command line does not: a unified image has the same one in each.
package slot

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"weir/image/disk"
)

// started is the variable in which systemd's stub, the first part of a unified
// image, notes the partition that it came from (systemd-stub(7)).
const started = "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// Booted is "a" or "b", or empty: the machine did not boot from a slot. Root is
// "" on a machine, a folder in a test.
func Booted(root string) string {
	switch Partition(root) {
	case disk.GUID(disk.SlotA):
		return "a"
	case disk.GUID(disk.SlotB):
		return "b"
	}
	return ""
}

// Partition is the GUID of the partition that the unified image came from, in
// upper case; empty: no UEFI, or something else has booted the kernel.
func Partition(root string) string {
	if s := ByKexec(root); s != "" {
		return partitionOf(s)
	}
	b, err := os.ReadFile(filepath.Join(root, started))
	if err != nil || len(b) < 4 {
		return ""
	}
	// Four bytes of attributes, then UTF-16.
	var units []uint16
	for b = b[4:]; len(b) >= 2; b = b[2:] {
		units = append(units, binary.LittleEndian.Uint16(b))
	}
	return strings.ToUpper(strings.TrimRight(string(utf16.Decode(units)), "\x00"))
}
