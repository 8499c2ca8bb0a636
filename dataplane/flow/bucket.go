package flow

import "math/bits"

// slots is the number of entries that a bucket can name.
const slots = 8

// bucket is one cache line: the tags and indexes of up to eight entries. Tag 0
// marks an empty slot. The tags fill two words so that all eight are compared
// with a few instructions and no branch.
type bucket struct {
	tags  [2]uint64 // slot s: bits 16*(s&3)… of word s>>2
	index [slots]uint32
	_     [16]byte
}

const (
	laneLow  = 0x0001_0001_0001_0001
	laneHigh = 0x8000_8000_8000_8000
)

// zeroLanes marks the lanes of x that are zero at their top bit. Lanes above a
// zero lane may be marked wrongly; the lowest mark is always right.
func zeroLanes(x uint64) uint64 { return (x - laneLow) &^ x & laneHigh }

// match gives a set of slots whose tag may be tag, as bits that slotOf
// understands. The lowest is certain; the others need a look at the key.
func (b *bucket) match(tag uint64) uint64 {
	p := tag * laneLow
	return zeroLanes(b.tags[0]^p)>>1 | zeroLanes(b.tags[1]^p)
}

// slotOf is the slot of the lowest bit of a non-empty set made by match; of an
// empty set it is some slot.
func slotOf(set uint64) uint {
	p := uint(bits.TrailingZeros64(set))
	return (p>>4 | p<<2) & (slots - 1)
}

// free is an empty slot of the bucket; ok is false if there is none.
func (b *bucket) free() (slot uint, ok bool) {
	set := b.match(0)
	return slotOf(set), set != 0
}

func (b *bucket) tag(slot uint) uint64 {
	return b.tags[slot>>2&1] >> (slot & 3 * 16) & 0xffff
}

func (b *bucket) set(slot uint, tag uint64, index uint32) {
	shift := slot & 3 * 16
	w := &b.tags[slot>>2&1]
	*w = *w&^(0xffff<<shift) | tag<<shift
	b.index[slot&(slots-1)] = index
}
