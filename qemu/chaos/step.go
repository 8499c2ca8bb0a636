package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/qemu/topology"
)

// A step is over when all that it must bring about has come, the idle
// connections have all spoken, and nothing is stalled any more.
const (
	dwell     = idle + idle/2 // every idle connection speaks within
	settles   = 45 * time.Second
	calmBelow = 250 * time.Millisecond
)

// outcome is something that a step must bring about, timed from its begin.
type outcome struct {
	what string
	// sudden: the time counts for the median of withdrawals.
	sudden bool
	wait   func(ctx context.Context) (time.Time, error)
}

// withdrawn expects the router to send a node nothing any more.
func (r *run) withdrawn(n topology.Node) outcome {
	return outcome{what: "withdrawn", sudden: true, wait: func(ctx context.Context) (time.Time, error) { return r.routes.Withdrawn(ctx, n) }}
}

// unannounced is a withdrawal that was asked for.
func (r *run) unannounced(n topology.Node) outcome {
	o := r.withdrawn(n)
	o.sudden = false
	return o
}

// whole expects that every node but the absent is announced by its neighbours.
func (r *run) whole(absent ...string) outcome {
	return outcome{what: "whole", wait: func(ctx context.Context) (time.Time, error) {
		return poll(ctx, func() error { return r.lab.Announced(absent...) })
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
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// step does something, waits for its outcomes and until all is calm, and adds
// a row to the table. Only what makes it senseless to go on is an error; what
// is merely worse than promised is remembered.
func (r *run) step(name string, do func() error, outcomes ...outcome) error {
	r.soak.Window()
	began := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	ctx, cancel := context.WithTimeoutCause(r.ctx, settles, fmt.Errorf("not within %v", settles))
	defer cancel()
	took := map[string]time.Duration{}
	for _, o := range outcomes {
		at, err := o.wait(ctx)
		if r.ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			r.failed = append(r.failed, fmt.Errorf("%s: %s: %w", name, o.what, err))
			took[o.what] = -1
			continue
		}
		took[o.what] = at.Sub(began)
		if o.sudden {
			r.withdrawals = append(r.withdrawals, took[o.what])
		}
	}
	if err := r.settle(); err != nil {
		return err
	}
	w := r.soak.Window()
	r.stalls = append(r.stalls, w.Longest)
	r.table.row(began, name, took, w)
	return nil
}

// settle gives every connection the time to notice what happened.
func (r *run) settle() error {
	dwelt := time.After(dwell)
	select {
	case <-r.ctx.Done():
		return errors.New("interrupted")
	case <-dwelt:
	}
	// A connection that is never calm again ends as a lost one.
	for r.soak.Waiting() > calmBelow {
		select {
		case <-r.ctx.Done():
			return errors.New("interrupted")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
