package engine

import (
	"sync/atomic"

	"weir/dataplane/dpdk"
)

// Counter names one thing that a thread counts.
type Counter uint8

const (
	Polls          Counter = iota // times round the loop
	Packets                       // frames taken up
	BusyNanos                     // time with frames in hand, ns
	Sleeps                        // times the thread slept for want of work
	RingFull                      // frames lost: the next thread did not keep up
	KernelNoBuffer                // frames from the kernel lost: the pool was empty
	numCounters
)

// Counters are one thread's. Only the thread writes them.
type Counters [numCounters]uint64

// add is a single writer's: the atomic store only keeps readers from tearing.
func (c *Counters) add(which Counter, n uint64) { atomic.StoreUint64(&c[which], c[which]+n) }

// Load reads a counter from any goroutine.
func (c *Counters) Load(which Counter) uint64 { return atomic.LoadUint64(&c[which]) }

// ThreadStats is one thread's account of itself.
type ThreadStats struct {
	Name     string // as in logs
	Stage    string // all, rx, worker, tx or slow
	Core     int    // -1: not pinned
	Counters [numCounters]uint64
	Exchange dpdk.ExchangeStats
}

// Stats reads all threads' counters; any goroutine may call it while the
// engine is not being stopped.
func (e *Engine) Stats() []ThreadStats {
	var out []ThreadStats
	for _, t := range e.threads {
		s := ThreadStats{Name: t.name, Stage: t.stage, Core: t.core, Exchange: t.x.Stats()}
		for c := range numCounters {
			s.Counters[c] = t.counts.Load(c)
		}
		out = append(out, s)
	}
	return out
}
