package phase

import (
	"time"

	"golang.org/x/sys/unix"
)

// SinceKernel is the time since the kernel started (CLOCK_BOOTTIME): no setting
// of the clock disturbs it.
func SinceKernel() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // the kernel has had this clock since 2.6.39
	}
	return time.Duration(t.Nano())
}
