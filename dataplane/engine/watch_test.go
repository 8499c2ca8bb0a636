package engine

import (
	"sync/atomic"
	"testing"

	"weir/dataplane/packet"
	"weir/qemu/netns/nstest"
)

// counter counts what a watcher is shown, by direction and port.
type counter struct {
	sent, received [packet.NumPorts]atomic.Uint64
}

func (c *counter) Watch(sent bool, bufs []packet.Buf) {
	for i := range bufs {
		to := &c.received
		if sent {
			to = &c.sent
		}
		to[bufs[i].Port].Add(1)
	}
}

// TestEveryFrameOfEveryLayoutIsWatched lets one frame bounce on each side.
func TestEveryFrameOfEveryLayoutIsWatched(t *testing.T) {
	const rounds = 300
	for name, l := range map[string]Layout{"single": {}, "pipeline": {RX: []int{0}, TX: []int{1}, Workers: []int{0, 1}}} {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Pool: pool, Ports: ringPorts(t), Layout: l})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Stop()
			var stages []Stage
			var workers []*bouncer
			for i := range e.Workers() {
				w := &bouncer{io: e.IO(i), rounds: rounds, last: map[byte]uint32{}}
				workers, stages = append(workers, w), append(stages, w)
			}
			slow := &bouncer{rounds: rounds, last: map[byte]uint32{}}
			if err := e.Start(stages, slow, byFlow(len(workers))); err != nil {
				t.Fatal(err)
			}
			var c counter
			e.Watch(&c)
			e.OnWorker(0, func() {
				for f := range 2 {
					b, ok := e.IO(0).Alloc()
					if !ok {
						t.Error("no frame")
						return
					}
					b.Resize(64)
					clear(b.Bytes())
					b.Bytes()[0], b.Port = byte(f), packet.Port(f)
					e.IO(0).Send(b)
				}
				e.IO(0).flush()
			})
			nstest.Eventually(t, "both frames have made their rounds", func() bool {
				n := uint64(0)
				for _, w := range workers {
					n += w.ended.Load()
				}
				return n == 2
			})
			e.Watch(nil)
			for side := range packet.NumPorts {
				if s, r := c.sent[side].Load(), c.received[side].Load(); s != rounds || r != rounds {
					t.Errorf("side %d: %d sent, %d received, want %d of each", side, s, r, rounds)
				}
			}
		})
	}
}
