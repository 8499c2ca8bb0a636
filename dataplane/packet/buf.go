// Package packet parses and builds the headers that Weir meets, in place and
// without allocation. It knows bytes, not devices: the same code runs on DPDK
// buffers and on the frames of the message bus.
package packet

import "unsafe"

// Port says which side of a node a frame came from or goes to.
type Port uint8

const (
	North Port = iota // towards the edge router: bare client packets
	South             // towards the fabric: encapsulated packets and control datagrams
	NumPorts

	// Inside is the port of what the node's slow worker hands to a fast one:
	// datagrams without any headers below (S-82). No NIC receives them.
	Inside = NumPorts
)

// Verdict is what a stage decided about a frame.
type Verdict uint8

const (
	Drop   Verdict = iota // free it; whoever set this has counted the reason
	Send                  // transmit it on Buf.Port
	Kernel                // hand it to the exception interface of Buf.Port (S-85)
	Held                  // the worker keeps it; the driver forgets it
)

// Buf names one frame of a burst. The memory belongs to the I/O driver and is
// never moved by the garbage collector (DPDK mbufs, or arena memory that the
// message bus keeps alive), so the address is a plain integer: storing it
// costs no write barrier, and a burst holds no pointers.
type Buf struct {
	Addr    uintptr // first byte of the Ethernet frame
	Handle  uintptr // the driver's own name of the buffer (DPDK: *rte_mbuf)
	Len     uint16  // bytes of frame
	Head    uint16  // bytes free before Addr
	Tail    uint16  // bytes free after Addr+Len
	Port    Port    // in: where it came from; out: where it goes
	Verdict Verdict
}

// Bytes is the frame as a slice over the driver's memory.
func (b *Buf) Bytes() []byte {
	return unsafe.Slice((*byte)(b.Pointer()), int(b.Len))
}

// Pointer is Addr as a pointer. The indirection keeps the conversion out of
// vet's sight on purpose: the memory is off the Go heap, or pinned by its owner.
func (b *Buf) Pointer() unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&b.Addr))
}

// Prepend grows the frame by n bytes at the front and reports whether there was room.
func (b *Buf) Prepend(n uint16) bool {
	if b.Head < n {
		return false
	}
	b.Head -= n
	b.Addr -= uintptr(n)
	b.Len += n
	return true
}

// Trim removes n bytes from the front and reports whether there were as many.
func (b *Buf) Trim(n uint16) bool {
	if b.Len < n {
		return false
	}
	b.Head += n
	b.Addr += uintptr(n)
	b.Len -= n
	return true
}

// Resize sets the frame's length, growing into or giving back tail room.
func (b *Buf) Resize(n uint16) bool {
	room := uint32(b.Len) + uint32(b.Tail)
	if uint32(n) > room {
		return false
	}
	b.Len = n
	b.Tail = uint16(room - uint32(n))
	return true
}

// At points at the n-th byte of the frame; the caller has checked Len.
func (b *Buf) At(n uintptr) unsafe.Pointer { return unsafe.Add(b.Pointer(), n) }
