package engine

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"

	"weir/dataplane/packet"
	"weir/qemu/netns/nstest"
)

// bouncer sends every frame out on the other side, until it has seen it often
// enough, and checks that each flow keeps its order.
type bouncer struct {
	io     *IO
	rounds uint32
	last   map[byte]uint32
	swap   bool
	seen   atomic.Uint64
	ended  atomic.Uint64
	wrong  atomic.Uint64
}

// A test frame: byte 0 is the flow, bytes 4 to 7 count its rounds.
func (w *bouncer) Burst(_ int64, bufs []packet.Buf) {
	for i := range bufs {
		b := &bufs[i]
		frame := b.Bytes()
		round := binary.LittleEndian.Uint32(frame[4:]) + 1
		binary.LittleEndian.PutUint32(frame[4:], round)
		if w.last[frame[0]]+1 != round {
			w.wrong.Add(1)
		}
		w.last[frame[0]] = round
		w.seen.Add(1)
		if round == w.rounds {
			b.Verdict = packet.Drop
			w.ended.Add(1)
			continue
		}
		b.Verdict = packet.Send
		if w.swap {
			b.Port = 1 - b.Port
		}
	}
}

func (w *bouncer) Tick(now int64) int64 { return now + 1e6 }

// byFlow steers a test frame by its flow; flow 255 is the slow worker's.
type byFlow int

func (n byFlow) Steer(bufs []packet.Buf, to []int8) {
	for i := range bufs {
		f := bufs[i].Bytes()[0]
		to[i] = int8(int(f) % int(n))
		if f == 255 {
			to[i] = Slow
		}
	}
}

func ringPorts(t *testing.T) (ports [packet.NumPorts]*Port) {
	t.Helper()
	for side, name := range []string{"net_ring0", "net_ring1"} {
		p, err := OpenVirtual(name, "", pool)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
		ports[side] = p
	}
	return ports
}

func TestEveryLayoutForwardsInOrderAndLosesNothing(t *testing.T) {
	layouts := []struct {
		name   string
		layout Layout
	}{
		{"single", Layout{}},
		{"single, pinned", Layout{Workers: []int{0}}},
		{"pipeline, cores shared by both sides", Layout{RX: []int{0}, TX: []int{1}, Workers: []int{0}}},
		{"pipeline, a core per side", Layout{RX: []int{0, 1}, TX: []int{0, 1}, Workers: []int{0, 1, 0}}},
	}
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) { forwards(t, l.layout) })
	}
}

// forwards lets frames of many flows bounce between two loops.
func forwards(t *testing.T, l Layout) {
	const flows, rounds = 200, 500
	before := pool.Avail()
	e, err := New(Config{Pool: pool, Ports: ringPorts(t), Layout: l})
	if err != nil {
		t.Fatal(err)
	}
	stop := true
	defer func() {
		if stop {
			e.Stop()
		}
	}()
	var stages []Stage
	var workers []*bouncer
	slow := &bouncer{rounds: rounds, last: map[byte]uint32{}, swap: len(l.RX) < 2}
	for i := range e.Workers() {
		// With a thread per side a flow that changes sides may overtake itself.
		w := &bouncer{io: e.IO(i), rounds: rounds, last: map[byte]uint32{}, swap: slow.swap}
		workers, stages = append(workers, w), append(stages, w)
	}
	if err := e.Start(stages, slow, byFlow(len(workers))); err != nil {
		t.Fatal(err)
	}
	e.OnWorker(0, func() {
		for f := range flows {
			b, ok := e.IO(0).Alloc()
			if !ok {
				t.Error("no frame")
				return
			}
			b.Resize(64)
			clear(b.Bytes())
			b.Bytes()[0], b.Port = byte(f), packet.Port(f%2)
			if f == flows-1 {
				b.Bytes()[0] = 255
			}
			e.IO(0).Send(b)
		}
		e.IO(0).flush()
	})
	all := append(slices.Clone(workers), slow)
	sum := func(get func(*bouncer) uint64) (n uint64) {
		for _, w := range all {
			n += get(w)
		}
		return n
	}
	nstest.Eventually(t, "every frame has made its rounds", func() bool { return sum(func(w *bouncer) uint64 { return w.ended.Load() }) == flows })
	if n := sum(func(w *bouncer) uint64 { return w.seen.Load() }); n != flows*rounds {
		t.Errorf("%d frames seen, want %d", n, flows*rounds)
	}
	if n := sum(func(w *bouncer) uint64 { return w.wrong.Load() }); n != 0 {
		t.Errorf("%d frames out of order", n)
	}
	if slow.seen.Load() != rounds {
		t.Errorf("the slow worker saw %d frames, want %d", slow.seen.Load(), rounds)
	}
	for _, s := range e.Stats() {
		if s.Counters[RingFull] != 0 {
			t.Errorf("%s lost %d frames to full rings", s.Name, s.Counters[RingFull])
		}
	}
	e.Stop()
	stop = false
	if after := pool.Avail(); after != before {
		t.Errorf("%d frames in the pool, %d before", after, before)
	}
}

func TestABurstAllocatesNothing(t *testing.T) {
	for _, l := range []Layout{{}, {RX: []int{0}, TX: []int{1}, Workers: []int{0}}} {
		p, err := OpenVirtual("net_null0", "size=64", pool)
		if err != nil {
			t.Fatal(err)
		}
		q, err := OpenVirtual("net_null1", "size=64", pool)
		if err != nil {
			t.Fatal(err)
		}
		e, err := New(Config{Pool: pool, Ports: [packet.NumPorts]*Port{p, q}, Layout: l})
		if err != nil {
			t.Fatal(err)
		}
		var other stageFunc = func(b *packet.Buf) { b.Port, b.Verdict = 1-b.Port, packet.Send }
		e.SetSteering(steer(0))
		e.setStages([]Stage{other}, drop)
		n := testing.AllocsPerRun(200, func() {
			for _, t := range e.threads {
				t.body.step(1)
				t.body.tick(1)
			}
		})
		if n != 0 {
			t.Errorf("pipeline %v: %v allocations per burst", l.Pipeline(), n)
		}
		e.Stop()
		if p.Close() != nil || q.Close() != nil {
			t.Error("ports do not close")
		}
	}
}

func TestWhatARingCannotTakeIsDroppedAndCounted(t *testing.T) {
	e, err := New(Config{Pool: pool, Ports: ringPorts(t), Layout: Layout{RX: []int{0}, TX: []int{0}, Workers: []int{0}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Stop()
	io := e.IO(0)
	const n = ringSize + 100
	for range n {
		b, ok := io.Alloc()
		if !ok {
			t.Fatal("no frame")
		}
		b.Resize(60)
		io.Send(b)
	}
	io.flush()
	if lost := e.workers[0].counts.Load(RingFull); lost != 100 {
		t.Errorf("%d frames lost, want 100", lost)
	}
}

func TestABadCoreIsAnErrorAndLeavesNothing(t *testing.T) {
	before := pool.Avail()
	e, err := New(Config{Pool: pool, Ports: ringPorts(t), Layout: Layout{Workers: []int{1000}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start([]Stage{drop}, drop, steer(0)); err == nil {
		t.Error("core 1000 exists")
	}
	e.Stop()
	if after := pool.Avail(); after != before {
		t.Errorf("%d frames in the pool, %d before", after, before)
	}
}
