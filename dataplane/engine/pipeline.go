package engine

import (
	"math"

	"weir/dataplane/dpdk"
	"weir/dataplane/packet"
)

// ringSize is how many frames a ring holds: about a millisecond of a full
// 10 Gbit/s of small frames, spread over a few workers.
const ringSize = 4096

// never is the next tick of a thread without timers.
const never = math.MaxInt64

// receiver polls NICs and spreads their frames over the workers (S-81).
type receiver struct {
	e       *Engine
	x       *dpdk.Exchange
	io      *IO
	to      [Burst]int8
	workers []*outlet
	slow    *outlet
}

func (r *receiver) step(int64) int {
	rx := r.x.Run()
	if len(rx) == 0 {
		return 0
	}
	to := r.to[:len(rx)]
	r.e.steer.Load().Steer(rx, to)
	for i := range rx {
		out := r.slow
		if w := to[i]; w != Slow {
			out = r.workers[w]
		}
		r.io.put(out, &rx[i])
	}
	for _, out := range r.workers {
		r.io.push(out)
	}
	r.io.push(r.slow)
	return len(rx)
}

func (r *receiver) tick(int64) int64 { return never }
func (r *receiver) waiting() bool    { return false }

// worker runs one fast stage on what the receivers hand it.
type worker struct {
	x     *dpdk.Exchange
	io    *IO
	in    []*Ring
	stage Stage
	bufs  [Burst]packet.Buf
}

func (w *worker) step(now int64) int {
	total := 0
	for _, r := range w.in {
		if n := r.Pop(w.bufs[:]); n > 0 {
			w.stage.Burst(now, w.bufs[:n])
			w.io.dispatch(w.bufs[:n])
			total += n
		}
	}
	w.io.flush()
	if total == 0 || w.x.Pending() {
		w.x.Run()
	}
	return total
}

func (w *worker) tick(now int64) int64 {
	next := w.stage.Tick(now)
	w.io.flush()
	return next
}

func (w *worker) waiting() bool { return anyWaits(w.in) }

// slowWorker is the worker of everything else, and the only one that meets the
// kernel (S-82, S-85).
type slowWorker struct {
	worker
	toKernel []*Ring // frames that fast workers judged to be the kernel's
}

func (s *slowWorker) step(now int64) int {
	total := 0
	for _, r := range s.toKernel {
		n := r.Pop(s.bufs[:])
		for i := range s.bufs[:n] {
			s.io.toKernel(&s.bufs[i])
		}
		total += n
	}
	total += s.io.fromKernel()
	return total + s.worker.step(now)
}

func (s *slowWorker) waiting() bool {
	return s.worker.waiting() || anyWaits(s.toKernel) || s.io.fromKernelWaits()
}

// transmitter drains the workers' rings into NICs.
type transmitter struct {
	x  *dpdk.Exchange
	in []*Ring
	// bufs is one ring's share of a burst.
	bufs [dpdk.RxBurst]packet.Buf
}

func (t *transmitter) step(int64) int {
	total := 0
	for _, r := range t.in {
		n := r.Pop(t.bufs[:])
		for i := range t.bufs[:n] {
			if !t.x.Transmit(&t.bufs[i]) {
				t.x.Flush()
				t.x.Transmit(&t.bufs[i])
			}
		}
		total += n
	}
	if total > 0 {
		t.x.Run()
	}
	return total
}

func (t *transmitter) tick(int64) int64 { return never }
func (t *transmitter) waiting() bool    { return anyWaits(t.in) }

func anyWaits(rings []*Ring) bool {
	for _, r := range rings {
		if !r.Empty() {
			return true
		}
	}
	return false
}
