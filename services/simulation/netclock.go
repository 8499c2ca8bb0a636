package simulation

import (
	"math/rand"
	randv2 "math/rand/v2"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// epoch is the wall-clock time at which the virtual clock reads zero.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// stackClock is a netstack clock on virtual time. What a timer calls runs as
// an event of the run, then rest brings the stack to rest.
type stackClock struct {
	sim  *Sim
	rest func()
}

func (c *stackClock) Now() time.Time { return epoch.Add(time.Duration(c.sim.now)) }

func (c *stackClock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(time.Duration(c.sim.now))
}

func (c *stackClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &stackTimer{clock: c, f: f}
	t.Reset(d)
	return t
}

type stackTimer struct {
	clock *stackClock
	f     func()
	event *Event
}

func (t *stackTimer) Stop() bool { return t.event.Stop() }

func (t *stackTimer) Reset(d time.Duration) {
	if t.event != nil {
		t.event.Stop()
	}
	t.event = t.clock.sim.After(d, func() {
		t.f()
		t.clock.rest()
	})
}

// stackSource is netstack's random source and random reader, from the seed.
// The stack draws from it only while the run waits for it, never at once.
type stackSource struct{ r *randv2.Rand }

var _ rand.Source64 = stackSource{}

func (s stackSource) Int63() int64   { return s.r.Int64() }
func (s stackSource) Uint64() uint64 { return s.r.Uint64() }
func (s stackSource) Seed(int64)     {}

func (s stackSource) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return len(b), nil
}
