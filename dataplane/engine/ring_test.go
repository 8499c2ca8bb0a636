package engine

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"weir/dataplane/packet"
)

func TestRingIndexesLieOnTheirOwnCacheLines(t *testing.T) {
	var r Ring
	tail, head, end := unsafe.Offsetof(r.tail), unsafe.Offsetof(r.head), unsafe.Sizeof(r)
	if head-tail < 64 || end-head < 64 || tail < 64 {
		t.Errorf("tail at %d, head at %d, end at %d", tail, head, end)
	}
}

func TestRingKeepsOrderAndBounds(t *testing.T) {
	r := NewRing(5)
	if len(r.slots) != 8 {
		t.Fatalf("%d slots for 5 frames", len(r.slots))
	}
	in := make([]packet.Buf, 10)
	for i := range in {
		in[i].Handle = uintptr(i + 1)
	}
	if !r.Empty() || r.Push(in) != 8 || r.Push(in[8:]) != 0 || r.Empty() {
		t.Fatal("a ring of 8 does not hold 8")
	}
	out := make([]packet.Buf, 3)
	if r.Pop(out) != 3 || out[0].Handle != 1 || out[2].Handle != 3 {
		t.Fatalf("popped %+v", out)
	}
	if r.Push(in[8:]) != 2 {
		t.Fatal("no room after a pop")
	}
	rest := make([]packet.Buf, 16)
	if n := r.Pop(rest); n != 7 || rest[0].Handle != 4 || rest[6].Handle != 10 {
		t.Fatalf("popped %d: %+v", n, rest[:n])
	}
	if r.Pop(rest) != 0 || !r.Empty() {
		t.Fatal("an empty ring gives frames")
	}
}

// Two threads, bursts of random sizes, a ring small enough to fill up all the
// time: every frame arrives once, whole, in order.
func TestRingLosesNothingBetweenTwoThreads(t *testing.T) {
	const frames = 300_000
	r := NewRing(64)
	go func() {
		rng := rand.New(rand.NewPCG(1, 2))
		burst := make([]packet.Buf, 48)
		for next := uintptr(1); next <= frames; {
			n := min(1+rng.IntN(48), int(frames-next+1))
			for i := range n {
				v := next + uintptr(i)
				burst[i] = packet.Buf{Addr: v * 3, Handle: v, Len: uint16(v), Head: uint16(v >> 16)}
			}
			for sent := 0; sent < n; {
				k := r.Push(burst[sent:n])
				if k == 0 {
					runtime.Gosched()
				}
				sent += k
			}
			next += uintptr(n)
		}
	}()
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]packet.Buf, 48)
	for want := uintptr(1); want <= frames; {
		n := r.Pop(out[:1+rng.IntN(48)])
		if n == 0 {
			runtime.Gosched()
		}
		for _, b := range out[:n] {
			if b.Handle != want || b.Addr != want*3 || b.Len != uint16(want) || b.Head != uint16(want>>16) {
				t.Fatalf("frame %d is %+v", want, b)
			}
			want++
		}
	}
	if !r.Empty() {
		t.Error("frames left over")
	}
}

// FuzzRing runs a script of pushes and pops against a plain queue.
func FuzzRing(f *testing.F) {
	f.Add(uint8(4), []byte{3, 0x83, 9, 0x8f, 1, 1, 1, 0x82})
	f.Add(uint8(1), []byte{1, 1, 0x81, 0x81, 0x81})
	f.Fuzz(func(t *testing.T, size uint8, script []byte) {
		r := NewRing(int(size))
		var model []uintptr
		next := uintptr(0)
		bufs := make([]packet.Buf, 128)
		for _, op := range script {
			n := int(op & 0x7f)
			if op < 0x80 {
				for i := range n {
					bufs[i].Handle = next + uintptr(i)
				}
				k := r.Push(bufs[:n])
				if want := min(n, len(r.slots)-len(model)); k != want {
					t.Fatalf("pushed %d of %d, want %d", k, n, want)
				}
				for i := range k {
					model = append(model, next+uintptr(i))
				}
				next += uintptr(k)
				continue
			}
			k := r.Pop(bufs[:n])
			if want := min(n, len(model)); k != want {
				t.Fatalf("popped %d of %d, want %d", k, n, want)
			}
			for i := range k {
				if bufs[i].Handle != model[i] {
					t.Fatalf("popped %d, want %d", bufs[i].Handle, model[i])
				}
			}
			model = model[k:]
			if r.Empty() != (len(model) == 0) {
				t.Fatal("Empty lies")
			}
		}
	})
}

// The figure to compare: 1.8 ns per frame between two cores, bursts of 32.
func BenchmarkRing(b *testing.B) {
	r := NewRing(1024)
	burst := make([]packet.Buf, 32)
	stop := make(chan struct{})
	go func() {
		out := make([]packet.Buf, 32)
		for got := 0; got < b.N*32; {
			got += r.Pop(out)
		}
		close(stop)
	}()
	b.ReportAllocs()
	for range b.N {
		for sent := 0; sent < 32; {
			sent += r.Push(burst[sent:])
		}
	}
	<-stop
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/frame")
}
