package lbnode

import "weir/dataplane/packet"

// heldPool keeps the packets that wait for their mapping (S-16), in lists of
// one flow each. It is bounded and allocated at start.
type heldPool struct {
	slots []heldSlot
	free  int32
	used  int
}

type heldSlot struct {
	buf  packet.Buf
	next int32
}

func newHeldPool(n int) heldPool {
	p := heldPool{slots: make([]heldSlot, n), free: none}
	for i := n - 1; i >= 0; i-- {
		p.slots[i].next, p.free = p.free, int32(i)
	}
	return p
}

// heldList is a first-in first-out list inside the pool.
type heldList struct {
	first, last int32
	packets     uint16
	bytes       uint32
}

var emptyList = heldList{first: none, last: none}

// push appends a packet and reports whether there was room.
func (p *heldPool) push(l *heldList, b packet.Buf) bool {
	i := p.free
	if i == none {
		return false
	}
	p.free = p.slots[i].next
	p.slots[i] = heldSlot{buf: b, next: none}
	if l.last == none {
		l.first = i
	} else {
		p.slots[l.last].next = i
	}
	l.last = i
	l.packets++
	l.bytes += uint32(b.Len)
	p.used++
	return true
}

// pop takes the oldest packet.
func (p *heldPool) pop(l *heldList) (packet.Buf, bool) {
	i := l.first
	if i == none {
		return packet.Buf{}, false
	}
	b := p.slots[i].buf
	if l.first = p.slots[i].next; l.first == none {
		l.last = none
	}
	p.slots[i] = heldSlot{next: p.free}
	p.free = i
	p.used--
	l.packets--
	l.bytes -= uint32(b.Len)
	return b, true
}

// oldest is the packet that pop would take.
func (p *heldPool) oldest(l *heldList) *packet.Buf {
	if l.first == none {
		return nil
	}
	return &p.slots[l.first].buf
}
