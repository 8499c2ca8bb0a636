package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// runLock keeps a second noded out of a run directory. The kernel releases it
// with the process, so one left by a crash stops nobody.
type runLock struct{ file *os.File }

// lockRunDir makes the run directory and locks it.
func lockRunDir(dir string) (*runLock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	path := filepath.Join(dir, "noded.lock")
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open lock: %w", err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("another noded runs with run_dir %s; stop it first", dir)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Its last holder may have removed the file between our open and our lock.
		mine, err := f.Stat()
		if now, serr := os.Stat(path); err == nil && serr == nil && os.SameFile(mine, now) {
			return &runLock{f}, nil
		}
		f.Close()
	}
}

// release removes the lock's file and gives the lock up, in this order.
func (l *runLock) release() {
	os.Remove(l.file.Name())
	l.file.Close()
}
