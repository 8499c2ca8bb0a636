package main

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"unsafe"

	"weir/dataplane/packet"
	"weir/qemu/netns/nstest"
	"weir/services/api"
)

// burst is one frame as the packet processor has it.
func burst(side packet.Port, frame []byte) []packet.Buf {
	return []packet.Buf{{Addr: uintptr(unsafe.Pointer(&frame[0])), Len: uint16(len(frame)), Port: side}}
}

func TestATapKeepsTheBeginningOfFramesOfItsSide(t *testing.T) {
	p, err := newTap(&api.CaptureRequest{Port: "south", Snap: 10})
	nstest.Must(t, err)
	frame := []byte("0123456789abcdef")
	p.Watch(false, burst(packet.North, frame))
	p.Watch(false, burst(packet.South, frame))
	p.Watch(true, burst(packet.South, frame[:4]))
	got := p.take(10)
	if len(got) != 2 || string(got[0].Data) != "0123456789" || got[0].Length != 16 || got[0].Sent || string(got[1].Data) != "0123" || !got[1].Sent || got[0].Nanoseconds == 0 {
		t.Errorf("%v", got)
	}
}

func TestAFullTapCountsWhatItLoses(t *testing.T) {
	p, err := newTap(&api.CaptureRequest{Port: "north"})
	nstest.Must(t, err)
	frame := burst(packet.North, make([]byte, 64))
	for range captureRing + 7 {
		p.Watch(false, frame)
	}
	if n := p.lost.Load(); n != 7 {
		t.Errorf("%d lost, want 7", n)
	}
	for taken := 0; taken < captureRing; taken += captureBatch {
		if got := p.take(captureBatch); len(got) != captureBatch {
			t.Fatalf("%d taken at %d", len(got), taken)
		}
	}
	if got := p.take(1); len(got) != 0 {
		t.Errorf("%d more", len(got))
	}
}

func TestManyThreadsFillATapWhileOneTakes(t *testing.T) {
	const threads, each = 4, 50000
	p, err := newTap(&api.CaptureRequest{Port: "north", Snap: 16})
	nstest.Must(t, err)
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() {
			for n := range each {
				p.Watch(true, burst(packet.North, fmt.Appendf(nil, "%d %08d", i, n)))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var last [threads]int
	taken, over := uint64(0), false
	for !over || taken+p.lost.Load() < threads*each {
		select {
		case <-done:
			over = true
		default:
		}
		for _, f := range p.take(100) {
			var thread, n int
			if _, err := fmt.Sscanf(string(f.Data), "%d %d", &thread, &n); err != nil || n < last[thread] {
				t.Fatalf("%q after %d: %v", f.Data, last[thread], err)
			}
			last[thread] = n
			taken++
		}
	}
}

func TestATapAllocatesNothingPerFrame(t *testing.T) {
	p, err := newTap(&api.CaptureRequest{Port: "north", Host: netip.MustParseAddr("10.0.0.1").AsSlice(), Number: 80})
	nstest.Must(t, err)
	frame := make([]byte, 64)
	packet.PutEthernet(frame, [6]byte{}, [6]byte{}, packet.EtherTypeIPv4)
	packet.PutIPv4(frame[packet.EthernetSize:], [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}, packet.ProtoTCP, 64, 0, 50)
	frame[packet.EthernetSize+packet.IPv4Size+1] = 80
	bufs := burst(packet.North, frame)
	if n := testing.AllocsPerRun(1000, func() { p.Watch(true, bufs) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := p.take(1); len(got) != 1 {
		t.Error("the filter did not choose the frame")
	}
}

func TestACaptureOfNothingIsRefused(t *testing.T) {
	for _, r := range []*api.CaptureRequest{{Port: "control"}, {}, {Port: "north", Host: []byte{1, 2}}, {Port: "north", Number: 65536}} {
		if _, err := newTap(r); err == nil {
			t.Errorf("%v is taken", r)
		}
	}
	if p, err := newTap(&api.CaptureRequest{Port: "north", Snap: 1 << 30}); err != nil || p.snap != longestSnap {
		t.Errorf("%v", err)
	}
}
