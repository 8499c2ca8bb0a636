package main

import (
	"errors"
	"sync/atomic"
	"time"

	"weir/dataplane/packet"
	"weir/services/api"
	"weir/services/capture"
)

var (
	errNoSide    = errors.New("port is neither north nor south")
	errNoAddress = errors.New("host is not an address")
	errNoPort    = errors.New("number is not a port")
)

// tap is a bounded ring of copied frames between the packet processor's threads,
// any number of which fill it, and one that takes. Neither waits for the other:
// what finds no room is counted and forgotten.
type tap struct {
	side   packet.Port
	filter capture.Filter
	snap   int
	slots  []tapSlot
	data   []byte // snap bytes for every slot

	tail atomic.Uint64 // slots ever claimed
	head atomic.Uint64 // slots ever taken
	lost atomic.Uint64
}

// tapSlot is one frame. Whoever claimed number n of the ring owns slot n, modulo
// their count, until ready says n+1, and the taker from then on.
type tapSlot struct {
	ready  atomic.Uint64
	at     int64 // ns since 1970
	length int32
	kept   int32
	sent   bool
}

// Watch copies the frames of its side that the filter chooses (dpdk.Watcher).
func (t *tap) Watch(sent bool, bufs []packet.Buf) {
	now := time.Now().UnixNano()
	for i := range bufs {
		if b := &bufs[i]; b.Port == t.side {
			if frame := b.Bytes(); t.filter.Match(frame) {
				t.put(now, sent, frame)
			}
		}
	}
}

func (t *tap) put(now int64, sent bool, frame []byte) {
	n := t.tail.Load()
	for {
		if int64(n-t.head.Load()) >= int64(len(t.slots)) { // n may be behind both by now
			t.lost.Add(1)
			return
		}
		if t.tail.CompareAndSwap(n, n+1) {
			break
		}
		n = t.tail.Load()
	}
	i := int(n % uint64(len(t.slots)))
	s := &t.slots[i]
	s.at, s.length, s.sent = now, int32(len(frame)), sent
	s.kept = int32(copy(t.data[i*t.snap:(i+1)*t.snap], frame))
	s.ready.Store(n + 1)
}

// take returns at most n frames, in the order in which they were claimed.
func (t *tap) take(n int) (out []*api.CapturedFrame) {
	for len(out) < n {
		h := t.head.Load()
		i := int(h % uint64(len(t.slots)))
		s := &t.slots[i]
		if s.ready.Load() != h+1 {
			return out // empty, or still being filled
		}
		out = append(out, &api.CapturedFrame{Nanoseconds: uint64(s.at), Sent: s.sent, Length: uint32(s.length),
			Data: append([]byte(nil), t.data[i*t.snap:i*t.snap+int(s.kept)]...)})
		t.head.Store(h + 1)
	}
	return out
}
