package wire

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// ControlKey is one of the keys that are in use; during a rotation there are
// two. The first of a list seals, every one opens.
type ControlKey struct {
	ID uint32 // Header.KeyID
	Key
}

// FindKey is the key with an id.
func FindKey(keys []ControlKey, id uint32) (Key, bool) {
	for i := range keys {
		if keys[i].ID == id {
			return keys[i].Key, true
		}
	}
	return Key{}, false
}

// Peer is one end of a pair: a node's dataplane or a module, in one life.
type Peer struct {
	Role   uint8
	Number uint16
	Boot   uint64
}

// PairKey is the key of datagrams from one peer to another. It holds for one
// life of both: what was recorded before either was started anew opens nothing
// (S-113).
func PairKey(k Key, from, to Peer) Key {
	var b [23]byte
	b[0], b[1] = from.Role, to.Role
	binary.BigEndian.PutUint16(b[2:], from.Number)
	binary.BigEndian.PutUint16(b[4:], to.Number)
	binary.BigEndian.PutUint64(b[6:], from.Boot)
	binary.BigEndian.PutUint64(b[14:], to.Boot)
	var out Key
	b[22] = 0
	out.K0 = siphash.Hash(k.K0, k.K1, b[:])
	b[22] = 1
	out.K1 = siphash.Hash(k.K0, k.K1, b[:])
	return out
}

// windowBits is how far behind the newest a datagram may come, in sequence
// numbers of one sender's worker.
const windowBits = 1024

// Window refuses sequence numbers that were seen before (RFC 4303, 3.4.3). The
// zero value is ready.
type Window struct {
	top  uint64
	seen [windowBits / 64]uint64
}

// Fresh reports whether a sequence number is new, and notes it. Only the
// numbers of verified datagrams may be asked about.
func (w *Window) Fresh(seq uint64) bool {
	switch {
	case seq > w.top:
		if seq-w.top >= windowBits {
			clear(w.seen[:])
		} else {
			for s := w.top + 1; s < seq; s++ {
				w.seen[s/64%(windowBits/64)] &^= 1 << (s % 64)
			}
		}
		w.top = seq
		w.seen[seq/64%(windowBits/64)] |= 1 << (seq % 64)
		return true
	case w.top-seq >= windowBits:
		return false
	}
	word, bit := &w.seen[seq/64%(windowBits/64)], uint64(1)<<(seq%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
