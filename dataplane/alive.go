package main

import (
	"context"
	"fmt"
	"time"

	"weir/dataplane/engine"
	"weir/services/program"
)

// reportInterval is how often the supervisor hears what the dataplane does.
const reportInterval = time.Second

// progress is how often each thread of the engine had come round its loop when
// it was last looked at.
type progress map[string]uint64

// look finds a thread that has not come round since the last look. An idle one
// does ten times a second.
func (p progress) look(threads []engine.ThreadStats) error {
	var stuck error
	for _, t := range threads {
		polls := t.Counters[engine.Polls]
		if last, known := p[t.Name]; known && last == polls {
			stuck = fmt.Errorf("thread %s does not come round", t.Name)
		}
		p[t.Name] = polls
	}
	return stuck
}

// alive makes the watchdog's question.
func (n *node) alive() func(context.Context) error {
	p := progress{}
	return func(context.Context) error { return p.look(n.engine.Stats()) }
}

// condition is what this dataplane does, in a line.
func (n *node) condition() string {
	if why := n.vital.because.Load(); why == nil || *why != "" {
		if why == nil {
			return "forwards; answers no health pings yet"
		}
		return "forwards; answers no health pings: " + *why
	}
	return "forwards, answers health pings"
}

// report keeps the supervisor informed until ctx ends.
func (n *node) report(ctx context.Context, s *program.Supervisor) {
	tick := time.NewTicker(reportInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Status(n.condition())
		}
	}
}
