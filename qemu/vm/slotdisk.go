package vm

import (
	"fmt"

	"weir/image/disk"
)

// SlotDisk makes a copy of a disk image with two slots whose state partition holds
// the contents of a directory: what a node's disk looks like that runs from it.
func SlotDisk(path, image, contents string) error {
	if err := command("cp", "--sparse=always", image, path); err != nil {
		return err
	}
	const mib = 1 << 20
	start := mib + disk.BootSize + 2*disk.SlotSize
	return command("mke2fs", "-q", "-F", "-t", "ext4", "-L", StateLabel, "-d", contents, "-E", fmt.Sprintf("offset=%d", start), path, fmt.Sprintf("%dM", disk.StateSize/mib))
}
