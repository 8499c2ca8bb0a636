package labtest

import (
	"testing"
	"time"

	"weir/qemu/chaos"
)

// trial is connections of every kind that are held open while a test disturbs
// the cluster. When the test ends, what they noticed is held against what is
// promised.
type trial struct {
	*chaos.Trial
	t *testing.T
}

// hold begins a trial, with idle connections that are silent for that long.
func hold(t *testing.T, idle time.Duration) *trial {
	t.Helper()
	eventually(t, 30*time.Second, everyNodeAnnounced)
	held, err := chaos.Begin(within(t, 10*time.Minute), theLab, t.Output(), idle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := held.End(); err != nil {
			t.Error(err)
		}
	})
	return &trial{held, t}
}

// step does something to the cluster and waits for what must come of it.
func (h *trial) step(name string, do func() error, outcomes ...chaos.Outcome) {
	h.t.Helper()
	if err := h.Step(name, do, outcomes...); err != nil {
		h.t.Fatal(err)
	}
}

func TestConnectionsOfEveryKindLiveOnWhenNothingHappens(t *testing.T) {
	h := hold(t, 3*time.Second)
	h.step("nothing", func() error { return nil })
}
