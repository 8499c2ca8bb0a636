package labtest

import (
	"context"
	"testing"
	"time"

	"weir/qemu/chaos"
)

// trial is connections of every kind that are held open while a test disturbs
// the cluster. When the test ends, what they noticed is held against what is
// promised.
type trial struct {
	*chaos.Trial
	t   *testing.T
	ctx context.Context
}

// hold begins a trial, with idle connections that are silent for that long.
func hold(t *testing.T, idle time.Duration) *trial {
	t.Helper()
	eventually(t, 30*time.Second, allWell)
	ctx := within(t, 10*time.Minute)
	held, err := chaos.Begin(ctx, theLab, t.Output(), idle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := held.End(); err != nil {
			t.Error(err)
		}
	})
	return &trial{held, t, ctx}
}

// allWell checks that every node takes part and is announced.
func allWell() error { return theLab.Well(context.Background()) }

// step does something to the cluster and waits for what must come of it.
func (h *trial) step(name string, do func() error, outcomes ...chaos.Outcome) {
	h.t.Helper()
	if err := h.Step(name, do, outcomes...); err != nil {
		h.t.Fatal(err)
	}
}

// removed is a step that removes a machine.
func (h *trial) removed(remove func(context.Context) error) func() error {
	return func() error { return remove(h.ctx) }
}

func TestConnectionsOfEveryKindLiveOnWhenNothingHappens(t *testing.T) {
	h := hold(t, 3*time.Second)
	h.step("nothing", func() error { return nil })
}
