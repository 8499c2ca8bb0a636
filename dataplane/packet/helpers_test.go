package packet

import (
	"net/netip"
	"testing"
	"unsafe"

	"weir/dataplane/flow"
)

// Addresses of the frames that tests build.
var (
	macA = [6]byte{2, 0, 0, 0, 0, 0xa}
	macB = [6]byte{2, 0, 0, 0, 0, 0xb}
)

// addr is s in the form of Info and IPSpec.
func addr(s string) [16]byte { return netip.MustParseAddr(s).As16() }

// target is a tunnel from lb1 to srv1 of the lab.
func target(tb testing.TB) EncapTarget {
	tb.Helper()
	t, err := NewEncapTarget(macB, macA, netip.MustParseAddr("10.20.0.101"), netip.MustParseAddr("10.20.0.11"))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// Room around the frame of a test's Buf, as lbnode.IO promises.
const (
	headRoom = 128
	tailRoom = 1600
)

// frameBuf is a Buf that holds a copy of frame in heap memory, which Go does
// not move; keep holds on to it.
func frameBuf(frame []byte) Buf {
	mem := make([]byte, headRoom+len(frame)+tailRoom)
	keep = append(keep, mem)
	copy(mem[headRoom:], frame)
	return Buf{Addr: uintptr(unsafe.Pointer(&mem[headRoom])), Len: uint16(len(frame)), Head: headRoom, Tail: tailRoom}
}

var keep [][]byte

// newBuf is a Buf that holds what a builder makes.
func newBuf[S any](build func([]byte, *S) int, s *S) Buf {
	frame := make([]byte, 65535)
	return frameBuf(frame[:build(frame, s)])
}

// flowResult is all that TunnelFlowOf returns.
type flowResult struct {
	k      flow.Key
	l3, l4 int
	st     Status
}

func tunnelFlow(b []byte) (r flowResult) {
	r.l3, r.l4, r.st = TunnelFlowOf(b, &r.k)
	return r
}
