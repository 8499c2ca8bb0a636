package vm

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// rdtsc reads the processor's time stamp counter, which is also what a
// translated processor reads.
func rdtsc() uint64

// clockOptions make a translated kernel keep time by the time stamp counter. Left
// to itself it does not trust it and asks a device each time, which costs an idle
// node more than all else; measuring the counter's rate by itself, it gets it
// wrong on a busy machine. So it is told. Empty where the counter's rate changes.
var clockOptions = sync.OnceValue(func() string {
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !bytes.Contains(cpus, []byte("constant_tsc")) {
		return ""
	}
	return fmt.Sprintf(" tsc=reliable tsc_early_khz=%.0f", tscRate(100*time.Millisecond)/1e3)
})

// tscRate measures the rate of the time stamp counter in Hz, over a span.
func tscRate(span time.Duration) float64 {
	t0, c0 := instant()
	time.Sleep(span)
	t1, c1 := instant()
	return float64(c1-c0) * 1e9 / float64(t1-t0)
}

// instant reads both clocks at once: as near as can be had in some attempts, of
// which the best counts, as the process may lose the processor in between.
func instant() (ns int64, tsc uint64) {
	best := int64(math.MaxInt64)
	for range 50 {
		before := monotonic()
		c := rdtsc()
		after := monotonic()
		if after-before < best {
			best, ns, tsc = after-before, before+(after-before)/2, c
		}
	}
	return ns, tsc
}

// monotonic is CLOCK_MONOTONIC_RAW, which nobody adjusts.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &t); err != nil {
		panic("vm: CLOCK_MONOTONIC_RAW: " + err.Error()) // every kernel since 2.6.28 has it
	}
	return t.Nano()
}
