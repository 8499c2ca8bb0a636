package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// StateLabel is the name of the partition that a node keeps its state on.
const StateLabel = "weir-state"

// partitionStart is where the partition begins, bytes.
const partitionStart = 1 << 20

// StateDisk makes a disk of the given size in MiB with one GPT partition, the
// node's state, as an ext4 file system with the contents of a directory: what a
// node's disk looks like after it has been installed.
func StateDisk(path string, mib int, contents string) error {
	if err := blank(path, mib); err != nil {
		return err
	}
	if err := command("sgdisk", "--new=1:2048:0", "--change-name=1:"+StateLabel, "--typecode=1:8300", path); err != nil {
		return err
	}
	// A table at either end takes a MiB.
	return command("mke2fs", "-q", "-F", "-t", "ext4", "-L", StateLabel, "-d", contents, "-E", fmt.Sprintf("offset=%d", partitionStart), path, fmt.Sprintf("%dM", mib-2))
}

// diskMark is what init takes a whole empty disk by.
const diskMark = "WEIR STATE DISK\n"

// EmptyStateDisk makes a disk that carries nothing but the mark by which a node
// knows that it may make its state partition there.
func EmptyStateDisk(path string, mib int) error {
	if err := blank(path, mib); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(diskMark)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("mark the disk: %w", err)
	}
	return nil
}

// blank makes a file of zeros that takes no room.
func blank(path string, mib int) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(f.Truncate(int64(mib)<<20), f.Close())
	}
	if err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	return nil
}

func command(argv ...string) error {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a disk: %s: %w: %s (make deps installs what is missing)", argv[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
