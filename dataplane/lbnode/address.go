package lbnode

import (
	"encoding/binary"

	"weir/dataplane/flow"
)

// addressTable finds a server by its fabric address with one multiplication
// and, mostly, one comparison; it is asked for every packet of every server.
type addressTable struct {
	slots []addressSlot // a power of two, at most half full
	seed  uint64
}

type addressSlot struct {
	addr   uint32
	server *serverView
}

func newAddressTable(n int, seed flow.Seed) addressTable {
	size := 2
	for size < 2*n+1 {
		size *= 2
	}
	return addressTable{slots: make([]addressSlot, size), seed: seed[0] ^ seed[1]}
}

func (t *addressTable) add(a [4]byte, s *serverView) {
	addr := binary.BigEndian.Uint32(a[:])
	for i := t.slot(addr); ; i++ {
		if slot := &t.slots[i&uint64(len(t.slots)-1)]; slot.server == nil {
			*slot = addressSlot{addr, s}
			return
		}
	}
}

func (t *addressTable) find(a [4]byte) *serverView {
	if len(t.slots) == 0 {
		return nil
	}
	addr := binary.BigEndian.Uint32(a[:])
	for i := t.slot(addr); ; i++ {
		slot := &t.slots[i&uint64(len(t.slots)-1)]
		if slot.server == nil || slot.addr == addr {
			return slot.server
		}
	}
}

func (t *addressTable) slot(addr uint32) uint64 { return flow.Mix(uint64(addr), t.seed) }
