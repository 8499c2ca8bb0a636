package lbnode

// wheel is a hashed timing wheel over entries that are named by small indexes:
// each index has at most one timer. Everything is allocated at start.
type wheel struct {
	slots [wheelSlots]int32 // first index of each slot, or none
	next  []int32
	prev  []int32 // of the first in a slot: -2 - slot
	due   []int64 // ns
	tick  int64   // next tick to look at
	count int
}

const (
	wheelSlots = 4096
	wheelTick  = int64(1e6) // 1 ms
	none       = int32(-1)
	idle       = int32(-1 << 31) // in prev: not scheduled
)

func newWheel(n int) *wheel {
	w := &wheel{next: make([]int32, n), prev: make([]int32, n), due: make([]int64, n)}
	for i := range w.slots {
		w.slots[i] = none
	}
	for i := range w.prev {
		w.prev[i] = idle
	}
	return w
}

// schedule sets or moves the timer of i to the time at.
func (w *wheel) schedule(i uint32, at int64) {
	w.cancel(i)
	t := (at + wheelTick - 1) / wheelTick
	if t < w.tick {
		t = w.tick
	}
	s := int32(t % wheelSlots)
	w.due[i] = t
	w.next[i] = w.slots[s]
	if w.next[i] != none {
		w.prev[w.next[i]] = int32(i)
	}
	w.slots[s] = int32(i)
	w.prev[i] = -2 - s
	w.count++
}

// cancel removes the timer of i if there is one.
func (w *wheel) cancel(i uint32) {
	p := w.prev[i]
	if p == idle {
		return
	}
	if p <= -2 {
		w.slots[-2-p] = w.next[i]
	} else {
		w.next[p] = w.next[i]
	}
	if n := w.next[i]; n != none {
		w.prev[n] = p
	}
	w.prev[i] = idle
	w.count--
}

// expire returns an index whose time has come, with its timer removed. It is
// called until it returns false; what is scheduled in between for the current
// millisecond is returned too.
func (w *wheel) expire(now int64) (uint32, bool) {
	last := now / wheelTick
	if w.count == 0 {
		w.tick = last
		return 0, false
	}
	if last-w.tick >= wheelSlots { // a pause of over four seconds: one turn sees everything
		w.tick = last - wheelSlots + 1
	}
	for ; ; w.tick++ {
		for i := w.slots[w.tick%wheelSlots]; i != none; i = w.next[i] {
			if w.due[i] <= last {
				w.cancel(uint32(i))
				return uint32(i), true
			}
		}
		if w.tick >= last {
			return 0, false
		}
	}
}

// nextDue is when expire may have something at the earliest, in ns: the first slot
// in use within the next 100 ms, or the end of those. Slots of far timers that
// share it make it too early, never too late.
func (w *wheel) nextDue(now int64) int64 {
	const ahead = 100
	last := now / wheelTick
	if w.count > 0 {
		for t := last + 1; t <= last+ahead; t++ {
			if w.slots[t%wheelSlots] != none {
				return t * wheelTick
			}
		}
	}
	return (last + ahead) * wheelTick
}
