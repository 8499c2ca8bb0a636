package flow

import "unsafe"

// MaxBurst is the most keys that LookupBurst works on at once; longer bursts
// are cut.
const MaxBurst = 64

// scratch is LookupBurst's working memory, kept between bursts so that nothing
// is zeroed per burst.
type scratch struct {
	line   [MaxBurst]uint32 // line to prefetch, and then to look at, per key
	second [MaxBurst]uint32 // keys whose first bucket had no matching tag
	line2  [MaxBurst]uint32 // their second buckets
}

// LookupBurst looks up all keys of a burst; hashes are their Hash, and out gets
// an index or NotFound for each. All three have the same length. It works in
// passes over the whole burst, each of which asks for the memory that the next
// one needs, so that the cache misses of a burst overlap.
func (t *Table) LookupBurst(keys []Key, hashes []uint64, out []uint32) {
	for len(keys) > MaxBurst {
		t.lookupBurst(keys[:MaxBurst], hashes[:MaxBurst], out[:MaxBurst])
		keys, hashes, out = keys[MaxBurst:], hashes[MaxBurst:], out[MaxBurst:]
	}
	t.lookupBurst(keys, hashes, out)
}

func (t *Table) lookupBurst(keys []Key, hashes []uint64, out []uint32) {
	n := len(keys)
	if n == 0 {
		return
	}
	hashes, out = hashes[:n], out[:n]
	s := &t.burst
	line, second, line2 := s.line[:n], s.second[:n], s.line2[:n]

	for i, h := range hashes {
		line[i] = t.first(h)
	}
	prefetch(unsafe.Pointer(&t.buckets[0]), &line[0], n)

	misses := 0
	for i, h := range hashes {
		tag := tagOf(h)
		b := line[i]
		bu := &t.buckets[b]
		set := bu.match(tag)
		idx := bu.index[slotOf(set)]
		// Without a branch: note the key as missing, and keep the note if it is.
		second[misses] = uint32(i)
		line2[misses] = t.other(b, tag)
		miss := int(((set | -set) >> 63) ^ 1)
		misses += miss
		line[i] = idx
	}
	prefetch(unsafe.Pointer(&t.entries[0]), &line[0], n)
	if misses > 0 {
		t.secondBuckets(hashes, misses)
	}
	for i := range out {
		k := &keys[i]
		e := &t.entries[line[i]]
		if e.Equal(k) && e.used != 0 {
			out[i] = line[i]
			continue
		}
		// No such flow, or another flow with the same tag was in the way.
		out[i], _ = t.Lookup(k, hashes[i])
	}
}

// secondBuckets completes scratch.line for the first n keys of scratch.second.
func (t *Table) secondBuckets(hashes []uint64, n int) {
	s := &t.burst
	prefetch(unsafe.Pointer(&t.buckets[0]), &s.line2[0], n)
	for j, i := range s.second[:n] {
		bu := &t.buckets[s.line2[j]]
		idx := bu.index[slotOf(bu.match(tagOf(hashes[i])))]
		s.line[i] = idx
		s.line2[j] = idx
	}
	prefetch(unsafe.Pointer(&t.entries[0]), &s.line2[0], n)
}
