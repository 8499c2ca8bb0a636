package mounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"weir/init/phase"
)

// System is the machine as this package sees it.
type System struct {
	Root  string // "" on a machine, a folder in a test
	Mount func(source, target, fstype string, flags uintptr, data string) error
}

// Machine is the real one.
func Machine() System { return System{Mount: unix.Mount} }

// Do prepares the root folder and mounts all of the table, in its order.
func (s System) Do(table []Mount) phase.Outcome {
	var needed, missed []string
	if err := s.rootFolder(); err != nil {
		missed = append(missed, err.Error())
	}
	for _, m := range table {
		switch err := s.one(m); {
		case err == nil:
		case m.Needed:
			needed = append(needed, err.Error())
		default:
			missed = append(missed, err.Error())
		}
	}
	if err := s.links(); err != nil {
		missed = append(missed, err.Error())
	}
	all := strings.Join(append(needed, missed...), "; ")
	switch {
	case len(needed) > 0:
		return phase.Fail("boot the image with the kernel that it was built with", "%s", all)
	case len(missed) > 0:
		return phase.Degrade("boot the image with the kernel that it was built with", "%s", all)
	}
	return phase.Done()
}

func (s System) one(m Mount) error {
	if m.If != "" {
		if _, err := os.Stat(filepath.Join(s.Root, m.If)); err != nil {
			return nil
		}
	}
	target := filepath.Join(s.Root, m.Target)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("make the mount point %s: %w", m.Target, err)
	}
	// EBUSY: it is mounted already.
	if err := s.Mount(m.Source, target, m.Type, m.Flags, m.Data); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s on %s: %w", m.Type, m.Target, err)
	}
	return nil
}

// rootFolder takes from others the right to write the root folder, which a
// boot loader or archive may have given: DPDK refuses to start otherwise.
func (s System) rootFolder() error {
	root := filepath.Join(s.Root, "/")
	if err := os.Chmod(root, 0o755); err != nil {
		return fmt.Errorf("protect the root folder: %w", err)
	}
	return nil
}

// links makes the folders and links that programs take for granted.
func (s System) links() error {
	for _, dir := range []string{"/run/weir", "/var/lib/weir"} {
		if err := os.MkdirAll(filepath.Join(s.Root, dir), 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	for _, l := range []struct{ target, name string }{
		{"/run", "/var/run"}, {"/tmp", "/var/tmp"},
		{"/proc/self/mounts", "/etc/mtab"},
		{"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
	} {
		name := filepath.Join(s.Root, l.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make the folder of %s: %w", l.name, err)
		}
		if _, err := os.Readlink(name); err == nil {
			continue // from the archive
		}
		os.Remove(name) // an empty folder of that name, from the archive; a full one stays, and is told below
		if err := os.Symlink(l.target, name); err != nil {
			return fmt.Errorf("link %s to %s: %w", l.name, l.target, err)
		}
	}
	return nil
}
