package engine

import (
	"sync/atomic"
	"testing"

	"weir/dataplane/packet"
	"weir/qemu/netns/nstest"
)

// hander is a slow worker that answers every frame with one to each fast worker.
type hander struct {
	io      *IO
	workers int
}

func (h *hander) Burst(_ int64, bufs []packet.Buf) {
	for i := range bufs {
		for w := range h.workers {
			if b, ok := h.io.Alloc(); ok {
				b.Resize(2)
				b.Bytes()[0], b.Bytes()[1] = byte(w), bufs[i].Bytes()[0]
				h.io.Hand(w, b)
			}
		}
		bufs[i].Verdict = packet.Drop
	}
}

func (h *hander) Tick(int64) int64 { return never }

// taker is a fast worker that counts what it was handed.
type taker struct {
	index        int
	right, wrong atomic.Uint64
}

func (t *taker) Burst(_ int64, bufs []packet.Buf) {
	for i := range bufs {
		b := &bufs[i]
		if b.Port != packet.Inside || b.Len != 2 || int(b.Bytes()[0]) != t.index {
			t.wrong.Add(1)
		} else {
			t.right.Add(1)
		}
		b.Verdict = packet.Drop
	}
}

func (t *taker) Tick(int64) int64 { return never }

func TestTheSlowWorkerHandsFramesToTheFastOnes(t *testing.T) {
	for name, l := range map[string]Layout{"single": {}, "pipeline": {RX: []int{0}, TX: []int{0}, Workers: []int{0, 1, 0}}} {
		t.Run(name, func(t *testing.T) {
			before := pool.Avail()
			e, err := New(Config{Pool: pool, Ports: ringPorts(t), Layout: l})
			nstest.Must(t, err)
			var stages []Stage
			var takers []*taker
			for i := range e.Workers() {
				takers = append(takers, &taker{index: i})
				stages = append(stages, takers[i])
			}
			nstest.Must(t, e.Start(stages, &hander{e.SlowIO(), e.Workers()}, steer(Slow)))
			const frames = 1000
			e.OnSlow(func() {
				for range frames {
					for w := range e.Workers() {
						if b, ok := e.SlowIO().Alloc(); ok {
							b.Resize(2)
							b.Bytes()[0], b.Bytes()[1] = byte(w), 0
							e.SlowIO().Hand(w, b)
						}
					}
				}
				e.SlowIO().flush()
			})
			for i, w := range takers {
				nstest.Eventually(t, "the worker has all frames", func() bool { return w.right.Load() == frames })
				if w.wrong.Load() != 0 {
					t.Errorf("worker %d got %d frames that are not its own", i, w.wrong.Load())
				}
			}
			e.Stop()
			if after := pool.Avail(); after != before {
				t.Errorf("%d frames in the pool, %d before", after, before)
			}
		})
	}
}

func TestHandingFramesOverAllocatesNothing(t *testing.T) {
	for _, l := range []Layout{{}, {RX: []int{0}, TX: []int{1}, Workers: []int{0}}} {
		p, err := OpenVirtual("net_null0", "size=64", pool)
		nstest.Must(t, err)
		q, err := OpenVirtual("net_null1", "size=64", pool)
		nstest.Must(t, err)
		e, err := New(Config{Pool: pool, Ports: [packet.NumPorts]*Port{p, q}, Layout: l})
		nstest.Must(t, err)
		w := &taker{}
		e.SetSteering(steer(Slow))
		e.setStages([]Stage{w}, &hander{e.SlowIO(), 1})
		if n := testing.AllocsPerRun(200, func() {
			for _, t := range e.threads {
				t.body.step(1)
			}
		}); n != 0 {
			t.Errorf("pipeline %v: %v allocations per burst", l.Pipeline(), n)
		}
		if w.right.Load() == 0 || w.wrong.Load() != 0 {
			t.Errorf("pipeline %v: %d frames right, %d wrong", l.Pipeline(), w.right.Load(), w.wrong.Load())
		}
		e.Stop()
		nstest.Must(t, p.Close())
		nstest.Must(t, q.Close())
	}
}
