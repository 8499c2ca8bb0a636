package flow

import (
	"fmt"
	"syscall"
	"unsafe"
)

// NotFound is the index of no entry.
const NotFound = ^uint32(0)

// MaxCapacity is the largest capacity of a Table.
const MaxCapacity = 1 << 30

// window is how many entries Insert looks at, beside those in the new key's
// own two buckets, to choose a victim when the table is full. In a table no
// larger than this the choice is exact.
const window = 32

// Table is a bounded hash table of flows. All its memory is mapped at creation,
// outside the Go heap. Every key has two candidate buckets of eight slots; an
// entry keeps its index, in [0, Cap), for as long as it is in the table, so
// callers may keep arrays beside it. All work is bounded, and who does not know
// the seed cannot aim at a bucket.
//
// A Table belongs to one worker: there are no locks.
type Table struct {
	buckets []bucket
	entries []Entry
	nb      uint64 // number of buckets
	seed    Seed
	live    int
	fresh   uint32 // entries from here on were never used
	freed   uint32 // head of the list of freed entries, linked through Stamp; NotFound: empty
	hand    uint32 // where the next search for a victim begins
	mem     []byte

	burst scratch
	queue [maxSearch]step
}

// NewTable maps a table for capacity flows. There is one bucket per seven
// entries of capacity: a full table has one slot in eight empty, which keeps
// moves rare and short.
func NewTable(capacity int, seed Seed) (*Table, error) {
	if capacity < 1 || capacity > MaxCapacity {
		return nil, fmt.Errorf("flow table capacity %d: must be between 1 and %d", capacity, MaxCapacity)
	}
	nb := (capacity+slots-2)/(slots-1) + 1
	size := capacity*EntrySize + nb*int(unsafe.Sizeof(bucket{}))
	mem, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for a flow table of %d entries: %w; lower the number of flows", size, capacity, err)
	}
	t := &Table{
		entries: unsafe.Slice((*Entry)(unsafe.Pointer(&mem[0])), capacity),
		buckets: unsafe.Slice((*bucket)(unsafe.Pointer(&mem[capacity*EntrySize])), nb),
		nb:      uint64(nb),
		seed:    seed,
		freed:   NotFound,
		mem:     mem,
	}
	return t, nil
}

// Close unmaps the table; it must not be used afterwards.
func (t *Table) Close() error {
	mem := t.mem
	t.mem, t.entries, t.buckets, t.nb, t.live, t.fresh = nil, nil, nil, 0, 0, 0
	if mem == nil {
		return nil
	}
	if err := syscall.Munmap(mem); err != nil {
		return fmt.Errorf("unmap flow table: %w", err)
	}
	return nil
}

// Hash is the hash of a key that the other methods expect.
func (t *Table) Hash(k *Key) uint64 { return Hash(k, t.seed) }

// Len is the number of entries in use.
func (t *Table) Len() int { return t.live }

// Cap is the number of entries that the table can hold.
func (t *Table) Cap() int { return len(t.entries) }

// BytesPerFlow is the memory of the table divided by its capacity.
func (t *Table) BytesPerFlow() float64 { return float64(len(t.mem)) / float64(len(t.entries)) }

// Entry is the entry with that index. Its key must not be changed.
func (t *Table) Entry(idx uint32) *Entry { return &t.entries[idx] }

// Used reports whether the index names an entry that is in the table.
func (t *Table) Used(idx uint32) bool { return int(idx) < len(t.entries) && t.entries[idx].used != 0 }

// tagOf is the 16-bit tag of a hash, never 0. It uses the low bits; first uses the high ones.
func tagOf(h uint64) uint64 {
	t := h & 0xffff
	return t | (t-1)>>63 // 0 becomes 1
}

// first is the first bucket of a hash.
func (t *Table) first(h uint64) uint32 {
	return uint32(h >> 32 * t.nb >> 32)
}

// other is the second bucket of an entry with that tag whose one bucket is b;
// it leads back, so an entry can be moved without its key. The two add up to a
// number that depends on the tag only, modulo the number of buckets.
func (t *Table) other(b uint32, tag uint64) uint32 {
	sum := tag * 0x9e3779b1 & 0xffffffff * t.nb >> 32
	d := sum - uint64(b)
	if sum < uint64(b) {
		d += t.nb
	}
	return uint32(d)
}

// Lookup finds a key; h is its Hash.
func (t *Table) Lookup(k *Key, h uint64) (idx uint32, ok bool) {
	tag := tagOf(h)
	b := t.first(h)
	for range 2 {
		bu := &t.buckets[b]
		for set := bu.match(tag); set != 0; set &= set - 1 {
			idx := bu.index[slotOf(set)]
			if int(idx) < len(t.entries) && t.entries[idx].Equal(k) && t.entries[idx].used != 0 {
				return idx, true
			}
		}
		b = t.other(b, tag)
	}
	return NotFound, false
}

// Insert adds a key that is not in the table (the caller has looked) and
// returns its index; the entry's value is zero except Renewed, which is the
// cut-off until the caller sets it. When the table is full it evicts one entry: the
// oldest renewed before tick cutoff, else the least recently renewed half-open
// one, else the least recently renewed; the choice is among the entries in the
// key's own buckets and the next few in a round through the table.
func (t *Table) Insert(k *Key, h uint64, cutoff uint32) (idx uint32, ev Evicted) {
	tag := tagOf(h)
	b1 := t.first(h)
	b2 := t.other(b1, tag)
	b, slot, ok := t.makeRoom(b1, b2)
	switch {
	case !ok:
		idx = t.evict(t.worst(b1, b2, 0, cutoff), cutoff, &ev)
		b, slot, _ = t.makeRoom(b1, b2)
	case t.freed != NotFound:
		idx = t.freed
		t.freed = t.entries[idx].Stamp
	case int(t.fresh) < len(t.entries):
		idx = t.fresh
		t.fresh++
	default:
		idx = t.evict(t.worst(b1, b2, window, cutoff), cutoff, &ev)
	}
	t.buckets[b].set(slot, tag, idx)
	t.entries[idx] = Entry{Key: *k, Renewed: cutoff, used: 1}
	t.live++
	return idx, ev
}

// Delete takes an entry out; its index may be given out again by the next Insert.
func (t *Table) Delete(idx uint32) {
	if !t.Used(idx) {
		return
	}
	t.unlink(idx)
	t.entries[idx] = Entry{Stamp: t.freed}
	t.freed = idx
}

// Clear forgets everything at once.
func (t *Table) Clear() {
	clear(t.buckets)
	clear(t.entries[:t.fresh])
	t.live, t.fresh, t.freed, t.hand = 0, 0, NotFound, 0
}

// unlink clears the slot that names an entry.
func (t *Table) unlink(idx uint32) {
	h := t.Hash(&t.entries[idx].Key)
	tag := tagOf(h)
	b := t.first(h)
	for range 2 {
		bu := &t.buckets[b]
		for set := bu.match(tag); set != 0; set &= set - 1 {
			if s := slotOf(set); bu.index[s] == idx && bu.tag(s) == tag {
				bu.set(s, 0, 0)
				t.live--
				return
			}
		}
		b = t.other(b, tag)
	}
}

// evict takes an entry out for Insert, which reuses its index.
func (t *Table) evict(idx, cutoff uint32, ev *Evicted) uint32 {
	e := &t.entries[idx]
	_, ev.Cause = e.rank(cutoff)
	ev.Entry = *e
	t.unlink(idx)
	return idx
}

// worst chooses who goes first among the entries of two buckets and n more
// from the hand on.
func (t *Table) worst(b1, b2 uint32, n int, cutoff uint32) uint32 {
	best, victim := ^uint64(0), NotFound
	look := func(idx uint32) {
		if t.entries[idx].used == 0 {
			return
		}
		if r, _ := t.entries[idx].rank(cutoff); r < best {
			best, victim = r, idx
		}
	}
	for range min(n, len(t.entries)) {
		look(t.hand)
		t.hand++
		if int(t.hand) == len(t.entries) {
			t.hand = 0
		}
	}
	for _, b := range [2]uint32{b1, b2} {
		bu := &t.buckets[b]
		for s := range uint(slots) {
			if bu.tag(s) != 0 {
				look(bu.index[s])
			}
		}
	}
	return victim
}

var _ = [1]struct{}{}[unsafe.Sizeof(Entry{})-EntrySize]
var _ = [1]struct{}{}[unsafe.Sizeof(bucket{})-64]
