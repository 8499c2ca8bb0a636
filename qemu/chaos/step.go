package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/qemu/topology"
)

// A step is over when all that it must bring about has come, it has lasted long
// enough, and nothing is stalled any more.
const (
	settles   = 45 * time.Second
	calmBelow = 2100 * time.Millisecond
)

// Outcome is something that a step must bring about, timed from its begin.
type Outcome struct {
	what string
	// sudden: the time counts for the median of withdrawals.
	sudden bool
	wait   func(ctx context.Context) (time.Time, error)
}

// Withdrawn expects the router to send a node nothing any more.
func (t *Trial) Withdrawn(n topology.Node) Outcome {
	return Outcome{what: "withdrawn", sudden: true, wait: func(ctx context.Context) (time.Time, error) { return t.routes.Withdrawn(ctx, n) }}
}

// Gone is a withdrawal that may take until the router's own timer: when both
// announcers of a node died, nobody is left to withdraw it (S-62).
func (t *Trial) Gone(n topology.Node) Outcome { return t.Unannounced(n) }

// Unannounced is a withdrawal that was asked for.
func (t *Trial) Unannounced(n topology.Node) Outcome {
	o := t.Withdrawn(n)
	o.sudden = false
	return o
}

// Whole expects that all is well with every node but the absent.
func (t *Trial) Whole(absent ...string) Outcome {
	return Outcome{what: "whole", wait: func(ctx context.Context) (time.Time, error) {
		return poll(ctx, func() error { return t.lab.Well(ctx, absent...) })
	}}
}

func poll(ctx context.Context, check func() error) (time.Time, error) {
	for {
		err := check()
		if err == nil {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Step does something, waits for its outcomes and until all is calm, and adds
// a row to the table. Only what makes it senseless to go on is an error; what
// is merely worse than promised is remembered.
func (t *Trial) Step(name string, do func() error, outcomes ...Outcome) error {
	t.soak.Window()
	began := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	ctx, cancel := context.WithTimeoutCause(t.ctx, settles, fmt.Errorf("not within %v", settles))
	defer cancel()
	took := map[string]time.Duration{}
	for _, o := range outcomes {
		at, err := o.wait(ctx)
		if t.ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			t.failed = append(t.failed, fmt.Errorf("%s: %s: %w", name, o.what, err))
			took[o.what] = -1
			continue
		}
		took[o.what] = at.Sub(began)
		if o.sudden {
			t.withdrawals = append(t.withdrawals, took[o.what])
		}
	}
	if err := t.settle(t.Dwell); err != nil {
		return err
	}
	w := t.soak.Window()
	if !t.Slow {
		t.stalls = append(t.stalls, w.Longest)
	}
	t.table.row(began, name, took, w)
	return nil
}

// settle gives every connection some time to notice what happened.
func (t *Trial) settle(dwell time.Duration) error {
	dwelt := time.After(dwell)
	select {
	case <-t.ctx.Done():
		return errors.New("interrupted")
	case <-dwelt:
	}
	// A connection that is never calm again ends as a lost one.
	for t.soak.Waiting() > calmBelow {
		select {
		case <-t.ctx.Done():
			return errors.New("interrupted")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
