package program

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Lock keeps a second process of a program out of a run directory. The kernel
// releases it with the process, so one left by a crash stops nobody.
type Lock struct{ file *os.File }

// LockRunDir makes the run directory and takes the program's lock in it.
func LockRunDir(dir, program string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	path := filepath.Join(dir, program+".lock")
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open lock: %w", err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("another %s runs with run_dir %s; stop it first", program, dir)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Its last holder may have removed the file between our open and our lock.
		mine, err := f.Stat()
		if now, serr := os.Stat(path); err == nil && serr == nil && os.SameFile(mine, now) {
			return &Lock{f}, nil
		}
		f.Close()
	}
}

// Close removes the lock's file and gives the lock up, in this order.
func (l *Lock) Close() error {
	return errors.Join(os.Remove(l.file.Name()), l.file.Close())
}

// ListenUnix listens on a socket that only root can use. The caller holds the
// lock of the run directory, so a socket that nobody answers on is left from a
// crash, and one that somebody answers on is another program's.
func ListenUnix(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("socket %s is in use by another program; stop it, or change run_dir in the configuration", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	old := syscall.Umask(0o177) // the mode must be right from the first moment
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}
