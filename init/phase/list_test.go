package phase

import (
	"strings"
	"testing"
	"time"
)

// boot is a list with a clock of its own, and the lines that it told.
type boot struct {
	*List
	now   time.Duration
	lines []string
}

func newBoot(names ...string) *boot {
	b := &boot{}
	b.List = NewList(func() time.Duration { return b.now }, func(l string) { b.lines = append(b.lines, l) }, names...)
	return b
}

func TestAPhaseIsPendingThenRunningThenWhatItSaid(t *testing.T) {
	b := newBoot("mounts", "state")
	b.now = 2 * time.Second
	b.Run("state", func() Outcome {
		b.now += 30 * time.Millisecond
		s := b.Snapshot()
		if s[0].Result != Pending || s[1].Result != Running || s[1].Took != 30*time.Millisecond {
			t.Errorf("while it runs: %+v", s)
		}
		return Degrade("free some", "disk full")
	})
	s := b.Snapshot()[1]
	if s.Result != Degraded || s.Started != 2*time.Second || s.Took != 30*time.Millisecond || !s.Result.Usable() {
		t.Errorf("after it ran: %+v", s)
	}
	want := "[   2.030] state         degraded     30 ms  disk full; to do: free some"
	if len(b.lines) != 1 || b.lines[0] != want {
		t.Errorf("told %q, want %q", b.lines, want)
	}
}

func TestAPhaseThatPanicsHasFailedAndTheBootGoesOn(t *testing.T) {
	b := newBoot("nics")
	o := b.Run("nics", func() Outcome { panic("index out of range") })
	if o.Result != Failed || b.Result("nics") != Failed || !strings.Contains(o.Reason, "index out of range") {
		t.Errorf("outcome %+v, recorded %v", o, b.Result("nics"))
	}
}

func TestAnUpdateIsToldOnlyIfItChangesSomething(t *testing.T) {
	b := newBoot("clock")
	b.Run("clock", Done)
	b.Update("clock", Done())
	b.Update("clock", Detail("ntp 10.30.0.2"))
	if len(b.lines) != 2 || !strings.Contains(b.lines[1], "ntp 10.30.0.2") {
		t.Errorf("told %q", b.lines)
	}
}
