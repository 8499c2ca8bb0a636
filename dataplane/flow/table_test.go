package flow

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

var testSeed = Seed{0x0123456789abcdef, 0xfedcba9876543210}

// numbered makes the n-th of many distinct keys, every third one IPv6.
func numbered(n uint32) Key {
	k := Key{ClientPort: uint16(n), VIPPort: 80, Proto: 6}
	var client [4]byte
	binary.BigEndian.PutUint32(client[:], n>>4)
	k.SetIPv4(client, [4]byte{203, 0, 113, 10})
	if n%3 == 0 {
		k.Client = [16]byte{0x20, 1, 0xd, 0xb8}
		binary.BigEndian.PutUint32(k.Client[12:], n)
	}
	return k
}

func newTable(t testing.TB, capacity int) *Table {
	t.Helper()
	tab, err := NewTable(capacity, testSeed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

func (t *Table) mustInsert(tb testing.TB, n, cutoff uint32) (uint32, Evicted) {
	tb.Helper()
	k := numbered(n)
	h := t.Hash(&k)
	if _, ok := t.Lookup(&k, h); ok {
		tb.Fatalf("key %d is in the table before it was inserted", n)
	}
	idx, ev := t.Insert(&k, h, cutoff)
	if !t.Used(idx) || t.Entry(idx).Key != k {
		tb.Fatalf("insert of key %d returned an index that does not hold it", n)
	}
	return idx, ev
}

// model is what a Table should hold: key to index and renewal.
type model map[Key]uint32

func (m model) check(t *testing.T, tab *Table) {
	t.Helper()
	if tab.Len() != len(m) {
		t.Fatalf("table says it holds %d entries, should hold %d", tab.Len(), len(m))
	}
	for k, want := range m {
		if got, ok := tab.Lookup(&k, tab.Hash(&k)); !ok || got != want {
			t.Fatalf("lookup of %v: got %d %v, want index %d", k, got, ok, want)
		}
	}
	seen, cursor := 0, uint32(0)
	for idx, e := range tab.Sweep(&cursor, tab.Slots()) {
		if want, ok := m[e.Key]; !ok || want != idx {
			t.Fatalf("sweep yields %v at %d, which should not be there", e.Key, idx)
		}
		seen++
	}
	if seen != len(m) {
		t.Fatalf("a whole sweep yields %d entries of %d", seen, len(m))
	}
}

func TestTableBehavesLikeAMapUnderRandomOperations(t *testing.T) {
	for _, capacity := range []int{1, 2, 7, 8, 9, 50, 333, 4096} {
		tab := newTable(t, capacity)
		m := model{}
		r := rand.New(rand.NewPCG(1, uint64(capacity)))
		keys := uint32(capacity*3/2 + 1)
		for step := range 20 * capacity {
			k := numbered(r.Uint32N(keys))
			h := tab.Hash(&k)
			want, in := m[k]
			idx, ok := tab.Lookup(&k, h)
			if ok != in || ok && idx != want {
				t.Fatalf("capacity %d step %d: lookup gives %d %v, want %d %v", capacity, step, idx, ok, want, in)
			}
			switch {
			case !in:
				idx, ev := tab.Insert(&k, h, 0)
				if (ev.Cause != EvictedNone) != (len(m) == capacity) {
					t.Fatalf("capacity %d: evicted %v with %d entries", capacity, ev.Cause, len(m))
				}
				if ev.Cause != EvictedNone {
					if m[ev.Entry.Key] != ev.Index {
						t.Fatalf("the evicted entry was not at the index that it is said to have had")
					}
					delete(m, ev.Entry.Key)
				}
				for other, i := range m {
					if i == idx {
						t.Fatalf("index %d of %v was given out twice", i, other)
					}
				}
				m[k] = idx
			case r.IntN(2) == 0:
				tab.Delete(idx)
				tab.Delete(idx) // a second time does nothing
				delete(m, k)
			}
			if step%(capacity+1) == 0 {
				m.check(t, tab)
			}
		}
		m.check(t, tab)
		tab.Clear()
		model{}.check(t, tab)
	}
}

func TestTableFillsCompletelyWithoutEvictingOrMovingIndexes(t *testing.T) {
	for _, capacity := range []int{1, 10, 1000, 65536, 300_000} {
		tab := newTable(t, capacity)
		index := make([]uint32, capacity)
		for n := range uint32(capacity) {
			idx, ev := tab.mustInsert(t, n, 0)
			if ev.Cause != EvictedNone {
				t.Fatalf("capacity %d: insert %d evicted an entry", capacity, n)
			}
			index[n] = idx
			tab.Entry(idx).Stamp = n
		}
		for n := range uint32(capacity) {
			k := numbered(n)
			idx, ok := tab.Lookup(&k, tab.Hash(&k))
			if !ok || idx != index[n] || tab.Entry(idx).Stamp != n {
				t.Fatalf("capacity %d: key %d is at %d (%v), was put at %d", capacity, n, idx, ok, index[n])
			}
		}
	}
}

func TestTableStaysFullAndCorrectThroughALongChurn(t *testing.T) {
	const capacity = 20_000
	tab := newTable(t, capacity)
	for n := range uint32(10 * capacity) {
		idx, ev := tab.mustInsert(t, n, 0)
		tab.Entry(idx).Renewed = n
		if full := n >= capacity; full != (ev.Cause != EvictedNone) {
			t.Fatalf("insert %d: cause %d", n, ev.Cause)
		}
	}
	if tab.Len() != capacity {
		t.Fatalf("%d entries after churn, want %d", tab.Len(), capacity)
	}
}

func TestFullTableEvictsExpiredThenHalfOpenThenLeastRecentlyRenewed(t *testing.T) {
	type flowAt struct {
		renewed uint32
		flags   uint8
	}
	const cutoff = 5 // ticks wrap just before it
	flows := []flowAt{
		{20, 0}, {8, 0}, {9, FlagHalfOpen}, {4, 0}, {0xffff_fff0, FlagHalfOpen}, {7, FlagHalfOpen}, {0xffff_fff8, 0}, {6, 0},
	}
	want := []struct {
		n     uint32
		cause Cause
	}{
		{4, EvictedExpired}, {6, EvictedExpired}, {3, EvictedExpired},
		{5, EvictedHalfOpen}, {2, EvictedHalfOpen},
		{7, EvictedLive}, {1, EvictedLive}, {0, EvictedLive},
	}
	tab := newTable(t, len(flows))
	for n, f := range flows {
		idx, _ := tab.mustInsert(t, uint32(n), cutoff)
		e := tab.Entry(idx)
		e.Renewed, e.Flags = f.renewed, f.flags
	}
	for i, w := range want {
		idx, ev := tab.mustInsert(t, uint32(100+i), cutoff)
		tab.Entry(idx).Renewed = 1000
		if ev.Cause != w.cause || ev.Entry.Key != numbered(w.n) {
			t.Fatalf("eviction %d: %v with cause %d, want key %d with cause %d", i, ev.Entry.Key, ev.Cause, w.n, w.cause)
		}
	}
}

func TestEvictionIsDeterministic(t *testing.T) {
	run := func() (evicted []Key) {
		tab := newTable(t, 500)
		r := rand.New(rand.NewPCG(3, 4))
		for n := range uint32(5000) {
			idx, ev := tab.mustInsert(t, n, n)
			tab.Entry(idx).Renewed = n + r.Uint32N(100)
			evicted = append(evicted, ev.Entry.Key)
		}
		return evicted
	}
	if !slices.Equal(run(), run()) {
		t.Fatal("two equal runs evicted different entries")
	}
}

func TestLookupBurstAgreesWithLookup(t *testing.T) {
	const capacity = 50_000
	tab := newTable(t, capacity)
	for n := range uint32(capacity) {
		tab.mustInsert(t, n, 0)
	}
	for n := range uint32(capacity / 10) { // holes
		k := numbered(n * 7)
		if idx, ok := tab.Lookup(&k, tab.Hash(&k)); ok {
			tab.Delete(idx)
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for _, size := range []int{0, 1, 3, 32, 64, 65, 200} {
		keys, hashes, out := make([]Key, size), make([]uint64, size), make([]uint32, size)
		for range 200 {
			for i := range keys {
				keys[i] = numbered(r.Uint32N(capacity * 3 / 2))
				hashes[i] = tab.Hash(&keys[i])
			}
			tab.LookupBurst(keys, hashes, out)
			for i := range keys {
				want, ok := tab.Lookup(&keys[i], hashes[i])
				if out[i] != want || ok != (want != NotFound) {
					t.Fatalf("burst of %d: key %d gives %d, lookup gives %d", size, i, out[i], want)
				}
			}
		}
	}
}

func TestMatchTagsFindsTheSlotsThatTheGoVersionFinds(t *testing.T) {
	const capacity = 5000
	tab := newTable(t, capacity)
	hashes, got, want := make([]uint64, capacity), make([]uint32, capacity), make([]uint32, capacity)
	for n := range uint32(capacity) {
		tab.mustInsert(t, n, 0)
		k := numbered(n)
		hashes[n] = tab.Hash(&k)
	}
	tab.fetchTags(hashes)
	tab.matchTags(hashes, got)
	tab.matchTagsGo(hashes, want)
	for i, h := range hashes {
		for _, idx := range []uint32{got[i], want[i]} {
			if b := idx / slots; b != tab.first(h) && b != tab.second(h) || tab.buckets[b].tag(idx%slots) != tagOf(h) {
				t.Fatalf("hash %x: slot %d is in the wrong bucket or has another tag", h, idx)
			}
		}
	}
}

// A lookup whose tag is nowhere looks at slot 0 of a bucket all the same.
func TestLookupBurstTellsKeysApartThatDifferInOneBit(t *testing.T) {
	tab := newTable(t, 12)
	for n := range uint32(8) {
		tab.mustInsert(t, n, 0)
	}
	for n := range uint32(8) {
		for bit := range KeySize * 8 {
			k := numbered(n)
			k.Words()[bit/64] ^= 1 << (bit % 64)
			h, out := tab.Hash(&k), []uint32{0}
			want, _ := tab.Lookup(&k, h)
			if tab.LookupBurst([]Key{k}, []uint64{h}, out); out[0] != want {
				t.Fatalf("key %d with bit %d flipped gives %d, want %d", n, bit, out[0], want)
			}
		}
	}
}

func TestZeroKeyIsNeverFoundInAnEmptyTable(t *testing.T) {
	tab := newTable(t, 10)
	keys, out := make([]Key, 1), make([]uint32, 1)
	tab.LookupBurst(keys, []uint64{tab.Hash(&keys[0])}, out)
	if out[0] != NotFound {
		t.Fatalf("found the zero key at %d", out[0])
	}
}

func TestTableRefusesImpossibleCapacities(t *testing.T) {
	for _, c := range []int{-1, 0, MaxCapacity + 1} {
		if tab, err := NewTable(c, testSeed); err == nil {
			tab.Close()
			t.Errorf("capacity %d was accepted", c)
		}
	}
}

func TestNoOperationAllocates(t *testing.T) {
	tab := newTable(t, 1000)
	keys, hashes, out := make([]Key, 32), make([]uint64, 32), make([]uint32, 32)
	n, cursor := uint32(0), uint32(0)
	allocs := testing.AllocsPerRun(1000, func() {
		for i := range keys {
			keys[i] = numbered(n)
			hashes[i] = tab.Hash(&keys[i])
			idx, _ := tab.Insert(&keys[i], hashes[i], 0)
			tab.Entry(idx).Renewed = n
			n++
		}
		tab.LookupBurst(keys, hashes, out)
		for idx, e := range tab.Sweep(&cursor, 8) {
			if e.Renewed%2 == 0 {
				tab.Delete(idx)
			}
		}
	})
	if allocs != 0 {
		t.Fatalf("%v allocations per run", allocs)
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 129, 2, 255})
	f.Add([]byte("insert and delete the same few keys over and over"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		tab := newTable(t, 20)
		m := model{}
		for tick, op := range ops {
			k := numbered(uint32(op & 0x7f))
			h := tab.Hash(&k)
			idx, ok := tab.Lookup(&k, h)
			switch {
			case ok && op&0x80 != 0:
				tab.Delete(idx)
				delete(m, k)
			case !ok:
				idx, ev := tab.Insert(&k, h, uint32(tick)-10)
				if ev.Cause != EvictedNone {
					delete(m, ev.Entry.Key)
				}
				tab.Entry(idx).Renewed = uint32(tick)
				m[k] = idx
			}
		}
		m.check(t, tab)
	})
}
