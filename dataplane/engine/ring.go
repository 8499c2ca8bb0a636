package engine

import (
	"math/bits"
	"sync/atomic"

	"weir/dataplane/packet"
)

// Ring hands frames from one thread to one other (S-81): single producer,
// single consumer, no lock, no pointers. Each side keeps its own index and a
// stale copy of the other's on its own cache line, so in steady flow a burst
// costs one shared line each way.
type Ring struct {
	slots []packet.Buf
	mask  uint64
	_     [64]byte

	tail     atomic.Uint64 // written by the producer: frames ever pushed
	headSeen uint64        // producer's copy of head
	_        [48]byte

	head     atomic.Uint64 // written by the consumer: frames ever popped
	tailSeen uint64        // consumer's copy of tail
	_        [48]byte
}

// NewRing makes a ring of at least n frames.
func NewRing(n int) *Ring {
	size := uint64(1) << bits.Len(uint(max(n, 2)-1))
	return &Ring{slots: make([]packet.Buf, size), mask: size - 1}
}

// Push appends frames and returns how many found room; the rest stay the
// caller's. Only the producer may call it.
func (r *Ring) Push(bufs []packet.Buf) int {
	tail := r.tail.Load()
	room := uint64(len(r.slots)) - (tail - r.headSeen)
	if room < uint64(len(bufs)) {
		r.headSeen = r.head.Load()
		room = uint64(len(r.slots)) - (tail - r.headSeen)
	}
	n := min(len(bufs), int(room))
	first := copy(r.slots[tail&r.mask:], bufs[:n])
	copy(r.slots, bufs[first:n])
	if n > 0 {
		r.tail.Store(tail + uint64(n))
	}
	return n
}

// Pop takes up to len(bufs) frames and returns how many. Only the consumer may
// call it.
func (r *Ring) Pop(bufs []packet.Buf) int {
	head := r.head.Load()
	if r.tailSeen-head < uint64(len(bufs)) {
		r.tailSeen = r.tail.Load()
	}
	n := min(len(bufs), int(r.tailSeen-head))
	if n == 0 {
		return 0
	}
	first := copy(bufs[:n], r.slots[head&r.mask:])
	copy(bufs[first:n], r.slots)
	r.head.Store(head + uint64(n))
	return n
}

// Empty reports whether nothing waits, as the consumer sees it.
func (r *Ring) Empty() bool { return r.head.Load() == r.tail.Load() }
