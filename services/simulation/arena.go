package simulation

import (
	"unsafe"

	"weir/dataplane/packet"
)

// Sizes of a frame buffer, bytes.
const (
	headRoom = 128
	slotSize = 2048
)

// arena is the frame memory of one node. It is one allocation, which the Go
// runtime does not move, and it notices frames that are freed twice.
type arena struct {
	memory []byte
	free   []uint32 // a stack
	used   []bool
}

func newArena(slots int) *arena {
	a := &arena{memory: make([]byte, slots*slotSize), used: make([]bool, slots)}
	for i := slots - 1; i >= 0; i-- {
		a.free = append(a.free, uint32(i))
	}
	return a
}

// alloc gives an empty frame; its handle is its slot's number.
func (a *arena) alloc() (packet.Buf, bool) {
	if len(a.free) == 0 {
		return packet.Buf{}, false
	}
	i := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	a.used[i] = true
	at := uintptr(unsafe.Pointer(&a.memory[int(i)*slotSize]))
	return packet.Buf{Addr: at + headRoom, Handle: uintptr(i), Head: headRoom, Tail: slotSize - headRoom}, true
}

// release takes a frame back and reports whether it was in use.
func (a *arena) release(b packet.Buf) bool {
	if !a.used[b.Handle] {
		return false
	}
	a.used[b.Handle] = false
	a.free = append(a.free, uint32(b.Handle))
	return true
}

// inUse is the number of frames that someone holds.
func (a *arena) inUse() int { return len(a.used) - len(a.free) }
