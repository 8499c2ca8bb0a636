// Package chaos disturbs a running lab in every way that an operator or fate
// could, while real connections are held open through it, and reports what the
// connections noticed: lost ones, stalls, and how long the router needed.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// idle is how long the idle connections of Run are silent.
const idle = 4 * time.Second

// Run disturbs the lab for the given time, each event to its end, and prints a
// row per step. The seed decides which events come in which order, and an event
// comes again only after all others. The error says what was worse than
// promised.
func Run(ctx context.Context, l *lab.Lab, out io.Writer, duration time.Duration, seed uint64) error {
	t, err := Begin(ctx, l, out, idle)
	if err != nil {
		return err
	}
	r := &run{Trial: t, random: rand.New(rand.NewPCG(seed, 0))}
	if err := r.play(duration); err != nil {
		return errors.Join(err, t.End())
	}
	return t.End()
}

// run is a trial by events in random order.
type run struct {
	*Trial
	random *rand.Rand
}

func (r *run) play(duration time.Duration) error {
	began := time.Now()
	if err := r.Step("nothing", func() error { return nil }); err != nil {
		return err
	}
	for {
		deck := slices.Clone(events)
		r.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, event := range deck {
			if time.Since(began) >= duration {
				return nil
			}
			if err := event(r); err != nil {
				return fmt.Errorf("the lab could not be disturbed further: %w", err)
			}
		}
	}
}

// node chooses one.
func (r *run) node() topology.Node {
	return r.lab.Top.Nodes[r.random.IntN(len(r.lab.Top.Nodes))]
}

// server chooses one.
func (r *run) server() topology.Server {
	return r.lab.Top.Servers[r.random.IntN(len(r.lab.Top.Servers))]
}
