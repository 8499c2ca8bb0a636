package health

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// ownThread keeps the calling goroutine on a thread of its own that the kernel
// runs before ordinary ones, where that is permitted: a busy machine must not
// make a node judge others late, nor look dead itself.
func ownThread() {
	runtime.LockOSThread()
	// The lowest real-time priority is above everything that is not real time.
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	if unix.SchedSetAttr(0, attr, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10)
	}
}

// now is the time since the machine started, the time it was suspended
// included: only with that is a gap in our own clock seen (S-59).
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("health: CLOCK_BOOTTIME: " + err.Error()) // every kernel since 2.6.39 has it
	}
	return time.Duration(t.Nano())
}
