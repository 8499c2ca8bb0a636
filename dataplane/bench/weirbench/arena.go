package main

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/dataplane/packet"
)

const (
	frameSize = 2048
	headRoom  = 256
)

// arena is the frames of a cluster: mapped outside the Go heap, like a driver's.
type arena struct {
	base uintptr
	free []uint32
}

func (a *arena) init(frames int) error {
	mem, err := unix.Mmap(-1, 0, frames*frameSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map frames: %w", err)
	}
	a.base = uintptr(unsafe.Pointer(&mem[0]))
	for i := range frames {
		a.free = append(a.free, uint32(frames-1-i))
	}
	return nil
}

func (a *arena) take() (packet.Buf, bool) {
	if len(a.free) == 0 {
		return packet.Buf{}, false
	}
	i := uintptr(a.free[len(a.free)-1])
	a.free = a.free[:len(a.free)-1]
	return packet.Buf{Addr: a.base + i*frameSize + headRoom, Handle: i, Head: headRoom, Tail: frameSize - headRoom}, true
}

func (a *arena) give(b packet.Buf) { a.free = append(a.free, uint32(b.Handle)) }
