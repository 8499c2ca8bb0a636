package exploration

import (
	"unsafe"

	"weir/dataplane/packet"
)

// Sizes of a frame buffer, bytes.
const (
	headRoom = 128
	slotSize = 2048
	poolSize = 256
)

// pool is the frame memory of one run; it serves one run after the other.
type pool struct {
	memory [poolSize * slotSize]byte
	free   []uint32
}

func newPool() *pool {
	p := &pool{}
	p.reset()
	return p
}

// reset takes all frames back.
func (p *pool) reset() {
	p.free = p.free[:0]
	for i := poolSize; i > 0; i-- {
		p.free = append(p.free, uint32(i-1))
	}
}

func (p *pool) alloc() (packet.Buf, bool) {
	if len(p.free) == 0 {
		return packet.Buf{}, false
	}
	i := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	at := uintptr(unsafe.Pointer(&p.memory[int(i)*slotSize]))
	return packet.Buf{Addr: at + headRoom, Handle: uintptr(i), Head: headRoom, Tail: slotSize - headRoom}, true
}

func (p *pool) release(b packet.Buf) { p.free = append(p.free, uint32(b.Handle)) }

// load makes a frame of bytes.
func (p *pool) load(frame []byte, port packet.Port) packet.Buf {
	b, ok := p.alloc()
	if !ok || !b.Resize(uint16(len(frame))) {
		panic("exploration: the pool of frames is empty")
	}
	copy(b.Bytes(), frame)
	b.Port = port
	return b
}
