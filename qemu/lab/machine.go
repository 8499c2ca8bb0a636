package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What the lab changes of the machine itself, outside of its namespaces: the
// number of huge pages, and a bpf file system if none is mounted. Both are
// written down before they are changed, and put back by down.

const (
	hugepagesPath   = "/proc/sys/vm/nr_hugepages"
	pagesPerNode    = 48 // 2 MiB each: 64 MiB for packets, the rest for DPDK itself
	bpfPath         = "/sys/fs/bpf"
	savedHugepages  = "hugepages.before"
	savedBpfMounted = "bpf.mounted"
)

// PinsDir holds the modules' pinned maps and links, one directory per server.
const PinsDir = bpfPath + "/weir"

func (l *Lab) raiseHugepages() error {
	free, err := meminfo("HugePages_Free")
	if err != nil {
		return err
	}
	total, err := meminfo("HugePages_Total")
	if err != nil {
		return err
	}
	need := l.kind.hugepages() * len(l.Top.Nodes)
	if free >= need {
		return nil
	}
	saved := filepath.Join(l.Dir, savedHugepages)
	if _, err := os.Stat(saved); errors.Is(err, fs.ErrNotExist) {
		// An interrupted earlier start keeps its record: that is the true one.
		if err := writeFile(saved, strconv.Itoa(total)); err != nil {
			return err
		}
	}
	want := total + need - free
	if err := writeFile(hugepagesPath, strconv.Itoa(want)); err != nil {
		return err
	}
	if got, err := meminfo("HugePages_Total"); err != nil || got < want {
		return fmt.Errorf("the machine has %d huge pages of 2 MiB and cannot make the %d that the lab needs: free some memory", got, want)
	}
	return nil
}

func (l *Lab) restoreHugepages() error {
	saved := filepath.Join(l.Dir, savedHugepages)
	text, err := os.ReadFile(saved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore huge pages: %w", err)
	}
	if err := writeFile(hugepagesPath, strings.TrimSpace(string(text))); err != nil {
		return err
	}
	return os.Remove(saved)
}

func meminfo(key string) (int, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read memory figures: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && name == key {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("this kernel has no huge pages (%s is not in /proc/meminfo)", key)
}

func (l *Lab) mountBpf() error {
	var st unix.Statfs_t
	if err := unix.Statfs(bpfPath, &st); err == nil && st.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	if err := writeFile(filepath.Join(l.Dir, savedBpfMounted), bpfPath); err != nil {
		return err
	}
	if err := unix.Mount("bpf", bpfPath, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount the bpf file system at %s: %w", bpfPath, err)
	}
	return nil
}

// pinned tells what somebody put into a bpf file system from the two files that
// the kernel makes in every one.
func pinned(e os.DirEntry) bool { return e.Name() != "maps.debug" && e.Name() != "progs.debug" }

func (l *Lab) unmountBpf() error {
	if err := os.RemoveAll(PinsDir); err != nil {
		return fmt.Errorf("remove pinned maps: %w", err)
	}
	saved := filepath.Join(l.Dir, savedBpfMounted)
	if _, err := os.Stat(saved); err != nil {
		return nil
	}
	// Somebody else may have begun to use it: then it stays.
	if entries, err := os.ReadDir(bpfPath); err == nil && !slices.ContainsFunc(entries, pinned) {
		if err := unix.Unmount(bpfPath, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", bpfPath, err)
		}
	}
	return os.Remove(saved)
}
