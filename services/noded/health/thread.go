package health

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ownThread keeps the calling goroutine on a thread of its own that the kernel
// prefers to others, where that is permitted: a busy machine must not make a node
// judge others late, nor look dead itself.
func ownThread() {
	runtime.LockOSThread()
	// It may have been made by the runtime's monitor, whose timers may be late
	// (services/program); the kernel's own default again. It cannot fail.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 50_000, 0, 0, 0)
	// No real-time priority: Go's runtime waits in loops (casgstatus) for threads that
	// scan for the garbage collector. A loop above all ordinary threads keeps them from
	// the processor that they share, and a node stands still for seconds. A short slice
	// has the thread run soon (Linux 6.12, others ignore it). Without CAP_SYS_NICE it
	// is a thread as all others.
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: -20, Runtime: 100_000}
	_ = unix.SchedSetAttr(0, attr, 0)
}

// clock is the time since the machine started, the time it was suspended
// included: only with that is a gap in our own clock seen (S-59).
func clock() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("health: CLOCK_BOOTTIME: " + err.Error()) // every kernel since 2.6.39 has it
	}
	return time.Duration(t.Nano())
}

// inbox hands work of other goroutines to the thread, which waits in poll.
type inbox struct {
	wake int // eventfd

	mu   sync.Mutex
	work []func()
}

func newInbox() (*inbox, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	return &inbox{wake: fd}, nil
}

// post has f called by the thread, soon.
func (i *inbox) post(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.work = append(i.work, f)
	_, _ = unix.Write(i.wake, binary.NativeEndian.AppendUint64(nil, 1)) // fails only when it is awake anyway
}

// do does what was posted.
func (i *inbox) do() {
	var count [8]byte
	_, _ = unix.Read(i.wake, count[:])
	i.mu.Lock()
	work := i.work
	i.work = nil
	i.mu.Unlock()
	for _, f := range work {
		f()
	}
}

// wait returns when one of the descriptors can be read, or after d.
func wait(d time.Duration, fds ...int) {
	var all [8]unix.PollFd
	for i, fd := range fds {
		all[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	t := unix.NsecToTimespec(int64(max(0, d)))
	_, _ = unix.Ppoll(all[:len(fds)], &t, nil) // interrupted or not, the caller looks at everything
}

func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	unix.Close(i.wake)
	i.wake = -1 // writing to it then does nothing
}
