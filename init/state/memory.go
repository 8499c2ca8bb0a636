package state

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"weir/init/phase"
)

// The small files that a node needs to serve, and how large they may be.
var carried = []struct {
	pattern string
	atMost  int64
}{
	{"node.yaml", mib}, {"node.yaml.last-good", mib}, {"identity/*", mib}, {"boot/*", mib}, {"state.db", 64 * mib},
	// A cluster file with its key, and what the configuration service said last.
	{"cluster*", mib}, {"last-good-configuration", 16 * mib},
}

// inMemory makes the state a folder in memory.
func (s *System) inMemory(device string, why error, remedy string) phase.Outcome {
	s.set(Status{Device: device, Mode: Memory, Error: why.Error()})
	if err := s.Mount("tmpfs", s.Root+Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=128m"); err != nil {
		return phase.Fail(remedy, "%v; and no memory instead: %v", why, err)
	}
	return phase.Degrade(remedy, "%v; state is kept in memory only", why)
}

// fromDisk makes the state a folder in memory with what can be read from a disk
// that must not be written to.
func (s *System) fromDisk(device string, why error, remedy string) phase.Outcome {
	o := s.inMemory(device, why, remedy)
	if o.Result != phase.Degraded {
		return o
	}
	disk := s.Root + aside
	if err := os.MkdirAll(disk, 0o700); err != nil {
		return o
	}
	if err := s.Mount(device, disk, "ext4", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "noload"); err != nil {
		return phase.Degrade(remedy, "%v; it cannot be read either (%v); state is kept in memory only", why, err)
	}
	n, err := carry(disk, s.Root+Dir)
	s.set(Status{Device: device, Mode: ReadOnly, Error: why.Error()})
	if err != nil {
		return phase.Degrade(remedy, "%v; %d files of it were read, then: %v; changes are kept in memory only", why, n, err)
	}
	return phase.Degrade(remedy, "%v; %d files of it were read, changes are kept in memory only", why, n)
}

// carry copies the small files; what cannot be read stays behind and is told.
func carry(from, to string) (n int, failed error) {
	for _, c := range carried {
		paths, _ := filepath.Glob(filepath.Join(from, c.pattern))
		for _, path := range paths {
			name, _ := filepath.Rel(from, path)
			switch done, err := copyFile(path, filepath.Join(to, name), c.atMost); {
			case err != nil:
				failed = err
			case done:
				n++
			}
		}
	}
	return n, failed
}

func copyFile(from, to string, atMost int64) (bool, error) {
	info, err := os.Lstat(from)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	if info.Size() > atMost {
		return false, fmt.Errorf("%s is too large for memory", from)
	}
	in, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return false, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return false, err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		os.Remove(to) // half a file is worse than none
		return false, fmt.Errorf("read %s: %w", from, err)
	}
	return true, out.Close()
}
