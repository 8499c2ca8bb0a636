package flow

import "math/bits"

// slots is the number of entries in a bucket.
const slots = 16

// bucket holds the 16-bit tags of sixteen entries that lie together in the
// entry array: half a cache line, so that all tags of a million flows take
// 2.5 MB and mostly stay in the core's own cache. Tag 0 marks an empty slot. The
// tags fill four words, so that all are compared with a few instructions and no
// branch.
type bucket [4]uint64 // slot s: bits 16*(s&3)… of word s>>2

const (
	laneLow  = 0x0001_0001_0001_0001
	laneHigh = 0x8000_8000_8000_8000
)

// zeroLanes marks the lanes of x that are zero at their top bit. Lanes above a
// zero lane may be marked wrongly; the lowest mark is always right.
func zeroLanes(x uint64) uint64 { return (x - laneLow) &^ x & laneHigh }

// match gives a set of slots whose tag may be tag, as bits that slotOf
// understands. The lowest of each word is certain, the others need a look.
func (b *bucket) match(tag uint64) uint64 {
	p := tag * laneLow
	return zeroLanes(b[0]^p)>>3 | zeroLanes(b[1]^p)>>2 | zeroLanes(b[2]^p)>>1 | zeroLanes(b[3]^p)
}

// slotOf is the slot of the lowest bit of a set made by match; of an empty set
// it is some slot.
func slotOf(set uint64) uint32 {
	p := uint32(bits.TrailingZeros64(set))
	return (p>>4 | p<<2) & (slots - 1)
}

func (b *bucket) tag(slot uint32) uint64 { return b[slot>>2&3] >> (slot & 3 * 16) & 0xffff }

func (b *bucket) set(slot uint32, tag uint64) {
	shift := slot & 3 * 16
	w := &b[slot>>2&3]
	*w = *w&^(0xffff<<shift) | tag<<shift
}

// used is the number of entries in the bucket.
func (b *bucket) used() int {
	n := 0
	for _, w := range b {
		w |= w >> 8
		w |= w >> 4
		w |= w >> 2
		w |= w >> 1
		n += bits.OnesCount64(w & laneLow)
	}
	return n
}

// tagOf is the 16-bit tag of a hash, never 0: its low bits.
func tagOf(h uint64) uint64 {
	t := h & 0xffff
	return t | (t-1)>>63
}
