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

// Table is a bounded hash table of flows. All its memory is mapped at creation,
// outside the Go heap. Every key has two candidate buckets of sixteen entries
// and goes into the one with more room; entries never move, so an index is
// good for as long as the entry is in the table, and callers may keep arrays
// of Slots elements beside it. All work is bounded, and who does not know the
// seed cannot aim at a bucket.
//
// A Table belongs to one worker: there are no locks.
type Table struct {
	buckets  []bucket
	entries  []Entry // sixteen per bucket
	capacity int
	live     int
	seed     Seed
	mem      []byte
}

// NewTable maps a table for capacity flows. It has two buckets and four slots
// in five: when it holds capacity flows, a fuller bucket than sixteen is so
// improbable with two choices that none was seen in 10^7 full tables.
func NewTable(capacity int, seed Seed) (*Table, error) {
	if capacity < 1 || capacity > MaxCapacity {
		return nil, fmt.Errorf("flow table capacity %d: must be between 1 and %d", capacity, MaxCapacity)
	}
	nb := capacity*2/25 + 2
	const entryBytes, tagBytes = slots * EntrySize, int(unsafe.Sizeof(bucket{}))
	size := nb * (entryBytes + tagBytes)
	mem, err := mapMemory(size)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for a flow table of %d entries: %w; lower the number of flows", size, capacity, err)
	}
	return &Table{
		entries:  unsafe.Slice((*Entry)(unsafe.Pointer(&mem[0])), nb*slots),
		buckets:  unsafe.Slice((*bucket)(unsafe.Pointer(&mem[nb*entryBytes])), nb),
		capacity: capacity,
		seed:     seed,
		mem:      mem,
	}, nil
}

// mapMemory maps zeroed memory and has the kernel back all of it now, with huge
// pages where it can: entries are touched in random order, and a page table
// walk per packet costs as much as a cache miss.
func mapMemory(size int) ([]byte, error) {
	mem, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	_ = syscall.Madvise(mem, syscall.MADV_HUGEPAGE) // a hint; kernels without huge pages refuse it
	for i := 0; i < size; i += syscall.Getpagesize() {
		mem[i] = 0
	}
	return mem, nil
}

// Close unmaps the table; it must not be used afterwards.
func (t *Table) Close() error {
	mem := t.mem
	*t = Table{}
	if mem == nil {
		return nil
	}
	if err := syscall.Munmap(mem); err != nil {
		return fmt.Errorf("unmap flow table: %w", err)
	}
	return nil
}

// Hash is the hash of a key that the other methods expect.
func (t *Table) Hash(k *Key) uint64 { return t.seed.Hash(k) }

// Len is the number of entries in the table.
func (t *Table) Len() int { return t.live }

// Cap is the number of entries that the table holds at most.
func (t *Table) Cap() int { return t.capacity }

// Slots is the number of indexes: all are below it. It is larger than Cap.
func (t *Table) Slots() int { return len(t.entries) }

// BytesPerFlow is the memory of the table divided by its capacity.
func (t *Table) BytesPerFlow() float64 { return float64(len(t.mem)) / float64(t.capacity) }

// Entry is the entry with that index. Its key must not be changed.
func (t *Table) Entry(idx uint32) *Entry { return &t.entries[idx] }

// Used reports whether the index names an entry that is in the table.
func (t *Table) Used(idx uint32) bool { return int(idx) < len(t.entries) && t.entries[idx].used != 0 }

// first and second are the buckets of a hash. They and the tag take different bits.
func (t *Table) first(h uint64) uint32 { return uint32(h >> 32 * uint64(len(t.buckets)) >> 32) }
func (t *Table) second(h uint64) uint32 {
	return uint32(h >> 16 & 0xffffffff * uint64(len(t.buckets)) >> 32)
}

// Lookup finds a key; h is its Hash.
func (t *Table) Lookup(k *Key, h uint64) (idx uint32, ok bool) {
	tag := tagOf(h)
	for _, b := range [2]uint32{t.first(h), t.second(h)} {
		for set := t.buckets[b].match(tag); set != 0; set &= set - 1 {
			idx := b*slots + slotOf(set)
			if e := &t.entries[idx]; e.used != 0 && e.Equal(k) {
				return idx, true
			}
		}
	}
	return NotFound, false
}
