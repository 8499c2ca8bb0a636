// Package state finds, makes, checks and mounts the state partition (the phase
// "state"): the only thing that a node writes (S-100). What is not marked as
// ours is never written to. Without a usable partition the node works from
// memory, with the configuration and identity that can still be read.
package state

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is where the state is, on disk or in memory.
const Dir = "/var/lib/weir"

// aside is where a disk is mounted that can only be read.
const aside = "/run/weir/state-disk"

// Modes of Status.
const (
	ReadWrite = "read-write"
	ReadOnly  = "read-only" // the disk is read, what is written stays in memory
	Memory    = "memory"    // nothing outlives this boot
)

// System is the machine as this package sees it.
type System struct {
	Root    string // "" on a machine, a folder in a test
	Mount   func(source, target, fstype string, flags uintptr, data string) error
	Unmount func(target string, flags int) error
	// Run runs a program to its end: what it printed and its exit code. The error
	// says that it could not be run.
	Run func(ctx context.Context, name string, args ...string) (output string, code int, err error)
	// Reread makes the kernel read a disk's partition table again.
	Reread func(device string) error
	Settle time.Duration // how long disks may take to appear once their controllers are known
	// Install divides a marked disk so that the image can be installed there too,
	// if there is room.
	Install bool
	// Probed is closed when that is so; nil: it is.
	Probed <-chan struct{}

	mu     sync.Mutex
	status Status // guarded by mu
}

// Machine is the real one. Run is init's, which also reaps.
func Machine(run func(ctx context.Context, name string, args ...string) (string, int, error)) *System {
	return &System{Mount: unix.Mount, Unmount: unix.Unmount, Run: run, Reread: reread, Settle: 3 * time.Second,
		status: Status{Mode: Memory}}
}

// Status is how the state stands.
type Status struct {
	Device     string
	Mode       string
	Size, Free uint64 // bytes, of what Dir is on
	Error      string // why it is not read-write
}

// Status may be asked for at any time.
func (s *System) Status() Status {
	s.mu.Lock()
	st := s.status
	s.mu.Unlock()
	var fs unix.Statfs_t
	if err := unix.Statfs(s.Root+Dir, &fs); err != nil {
		return st
	}
	st.Size, st.Free = fs.Blocks*uint64(fs.Bsize), fs.Bavail*uint64(fs.Bsize)
	if st.Mode == ReadWrite && fs.Flags&unix.ST_RDONLY != 0 {
		st.Mode, st.Error = ReadOnly, "the kernel stopped writing to the disk after an error: see its log; replace the disk"
	}
	return st
}

func (s *System) set(st Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = st
}

// reread asks through the whole disk (BLKRRPART).
func reread(device string) error {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetInt(fd, unix.BLKRRPART, 0)
}
