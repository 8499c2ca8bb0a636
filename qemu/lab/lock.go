package lab

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const lockPath = "/run/weir-lab.lock"

// lock makes sure that no two programs change the lab at once. The names of its
// namespaces are the machine's, so the lock is too.
func lock() (unlock func(), err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the lab needs root: run it with sudo")
	}
	f, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lab's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another program is starting or stopping the lab: wait for it (lock %s)", lockPath)
	}
	return func() { f.Close() }, nil
}
