package slot

import (
	"os"
	"path/filepath"

	"weir/image/disk"
	"weir/init/cmdline"
)

// KexecWord is on the boot command line of a system that the one before it started,
// without the firmware, from a slot: "weir.kexec=b". What the firmware has noted is
// then of an earlier start.
const KexecWord = "weir.kexec"

// ByKexec is the slot, "a" or "b", that the system before this one started it from;
// empty: the firmware started it. Root is as for Booted.
func ByKexec(root string) string {
	text, _ := os.ReadFile(filepath.Join(root, "/proc/cmdline"))
	switch s, _ := cmdline.Parse(string(text)).Get(KexecWord); s {
	case "a", "b":
		return s
	}
	return ""
}

// partitionOf is the GUID of a slot's partition.
func partitionOf(s string) string {
	if s == "b" {
		return disk.GUID(disk.SlotB)
	}
	return disk.GUID(disk.SlotA)
}
