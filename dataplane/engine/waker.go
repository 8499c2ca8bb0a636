package engine

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// waker ends another thread's sleep. Waking a thread that is awake costs one
// load; the system call is made only for a sleeper.
type waker struct {
	asleep  atomic.Uint32
	fd      int
	timeout unix.Timespec
}

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	return &waker{fd: fd}, nil
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// Wake ends the sleep, if any. Any goroutine may call it.
func (w *waker) Wake() {
	if w.asleep.Load() == 1 && w.asleep.CompareAndSwap(1, 0) {
		unix.Write(w.fd, one) // fails only when the counter is full, and then the sleeper wakes anyway
	}
}

// wait sleeps on fds, of which the first is the waker's own, for at most d ns.
func (w *waker) wait(fds []unix.PollFd, d int64) {
	w.timeout = unix.NsecToTimespec(d)
	unix.Ppoll(fds, &w.timeout, nil) // EINTR is a wake-up like any other
	w.asleep.Store(0)
	if fds[0].Revents != 0 {
		var b [8]byte
		unix.Read(w.fd, b[:])
	}
}

func (w *waker) close() { unix.Close(w.fd) }
