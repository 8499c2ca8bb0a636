// Package engine moves frames between NICs and workers (S-80 to S-82, S-85).
// It knows threads, rings and bursts, and nothing of what a frame means: that
// is the stages' business, which it calls once per burst.
//
// Single layout, one thread:
//
//	NICs → steer → worker, slow → NICs, TAPs
//
// Pipeline layout, every arrow between threads a Ring:
//
//	rx (1 or 2) → worker (n) → tx (1 or 2)
//	   └→ slow ←─────→┘└→ TAPs
//	       └→ tx
package engine

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/dataplane/dpdk"
	"weir/dataplane/exception"
	"weir/dataplane/packet"
)

// Burst is the most frames that a stage gets in one call.
const Burst = int(packet.NumPorts) * dpdk.RxBurst

// MaxWorkers bounds the fast workers of a node.
const MaxWorkers = 64

// Slow is what Steering answers for frames that no fast worker owns.
const Slow = -1

// Stage is what a worker does. One thread calls it.
type Stage interface {
	// Burst sets the verdict (and port) of at most Burst frames; now is Now().
	Burst(now int64, bufs []packet.Buf)
	// Tick runs timers that are due and returns when it must be called again
	// at the latest, on the clock of Now.
	Tick(now int64) (next int64)
}

// Steering spreads frames over workers; several threads may call it.
type Steering interface {
	// Steer sets to[i] to the worker of bufs[i], or to Slow.
	Steer(bufs []packet.Buf, to []int8)
}

// Layout says which cores do what (S-81). An empty RX means single.
type Layout struct {
	RX      []int // one for both sides, or one each: north, south
	TX      []int
	Workers []int // in a single layout: the one core, or none to float
}

// Pipeline reports whether the stages run on threads of their own.
func (l Layout) Pipeline() bool { return len(l.RX) > 0 }

// Config is what an engine is made of. Exceptions may be nil: frames for the
// kernel are dropped then.
type Config struct {
	Pool       *dpdk.Mempool
	Ports      [packet.NumPorts]*Port
	Exceptions [packet.NumPorts]*exception.Interface
	Layout     Layout
	Poll       bool // never sleep; otherwise sleep when idle (S-80)
}

// Engine is a set of threads and the rings between them.
type Engine struct {
	cfg     Config
	threads []*thread
	workers []*thread // those of threads that run a fast worker
	slow    *thread
	ios     []*IO
	slowIO  *IO
	rings   []*Ring
	steer   atomic.Pointer[steering]
}

// steering boxes an interface value so that it can be swapped atomically.
type steering struct{ Steering }

var (
	clockStart = time.Now()
	clockBase  = machineClock()
)

// Now is the engine's clock: CLOCK_MONOTONIC in ns, the same for all processes
// of a machine.
func Now() int64 { return clockBase + int64(time.Since(clockStart)) }

func machineClock() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 1 // only the distances matter
	}
	return ts.Nano()
}

// New lays out threads and rings. Start sets them going.
func New(c Config) (*Engine, error) {
	e := &Engine{cfg: c}
	build := e.buildSingle
	if c.Layout.Pipeline() {
		build = e.buildPipeline
	}
	if err := build(); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// Workers is how many fast workers the layout has.
func (e *Engine) Workers() int { return max(1, len(e.cfg.Layout.Workers)) }

// IO is how worker i gets and gives up frames (lbnode.IO).
func (e *Engine) IO(i int) *IO { return e.ios[i] }

// SlowIO is how the slow worker gets and gives up frames, and hands them to the
// fast ones (lbnode.SlowIO).
func (e *Engine) SlowIO() *IO { return e.slowIO }

// SetSteering swaps the steering; threads take it up with their next burst.
func (e *Engine) SetSteering(s Steering) { e.steer.Store(&steering{s}) }

// Start runs the stages. It returns when every thread polls.
func (e *Engine) Start(workers []Stage, slow Stage, s Steering) error {
	if len(workers) != e.Workers() {
		return fmt.Errorf("%d stages for %d workers", len(workers), e.Workers())
	}
	// A polling thread keeps its processor, in Go's eyes: give each one, and
	// leave some for the rest of the program.
	const others = 2
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), len(e.threads)+others))
	e.SetSteering(s)
	e.setStages(workers, slow)
	for _, x := range e.cfg.Exceptions {
		if x != nil {
			x.Start(e.slow.wake.Wake)
		}
	}
	for _, t := range e.threads {
		if err := t.start(); err != nil {
			return fmt.Errorf("start thread %s: %w", t.name, err)
		}
	}
	return nil
}

// OnWorker runs fn on worker i's thread between two bursts, and waits for it.
func (e *Engine) OnWorker(i int, fn func()) { e.workers[i].do(fn) }

// OnSlow runs fn on the slow worker's thread between two bursts, and waits for it.
func (e *Engine) OnSlow(fn func()) { e.slow.do(fn) }

// Watch has a watcher look at every frame that comes from or goes to a NIC, on
// the threads that move it; nil ends that. Without one it costs a load and a
// branch per burst.
func (e *Engine) Watch(w dpdk.Watcher) {
	for _, t := range e.threads {
		t.x.SetWatcher(w)
	}
}

// Stop ends the threads and gives every frame back to the pool. The stages'
// own frames are theirs to free before.
func (e *Engine) Stop() {
	for _, t := range e.threads {
		t.stop()
	}
	if len(e.threads) > 0 {
		io := &IO{x: e.threads[0].x, counts: new(Counters)}
		for _, r := range e.rings {
			drain(r, io)
		}
	}
	for _, t := range e.threads {
		t.close()
	}
	e.threads, e.rings = nil, nil
}

// drain frees what a ring still holds.
func drain(r *Ring, io *IO) {
	var b [Burst]packet.Buf
	for n := r.Pop(b[:]); n > 0; n = r.Pop(b[:]) {
		for i := range b[:n] {
			io.free(&b[i])
		}
	}
}
