package flow

// maxSearch bounds how many buckets Insert looks at to find room.
const maxSearch = 128

// step is one bucket of the search: reached by moving an entry out of a slot
// of the bucket of an earlier step.
type step struct {
	bucket uint32
	from   int16 // earlier step, or -1
	slot   uint8 // slot of that step's bucket
}

// makeRoom finds an empty slot in b1, else in b2, else makes one by moving
// entries to their other buckets: breadth first, so the fewest moves are made,
// and bounded. Indexes do not change. It reports false, with nothing moved, if
// the search found no room.
func (t *Table) makeRoom(b1, b2 uint32) (b uint32, slot uint, ok bool) {
	if slot, ok = t.buckets[b1].free(); ok {
		return b1, slot, true
	}
	if slot, ok = t.buckets[b2].free(); ok {
		return b2, slot, true
	}
	q := &t.queue
	q[0], q[1] = step{b1, -1, 0}, step{b2, -1, 0}
	n := 2
	for i := 0; i < n; i++ {
		bu := &t.buckets[q[i].bucket]
		for s := range uint(slots) {
			to := t.other(q[i].bucket, bu.tag(s))
			if free, ok := t.buckets[to].free(); ok {
				b, slot = t.shift(i, s, to, free)
				return b, slot, true
			}
			if n < maxSearch && !t.queued(n, to) {
				q[n] = step{to, int16(i), uint8(s)}
				n++
			}
		}
	}
	return 0, 0, false
}

// queued reports whether the search has the bucket already: a path must not
// cross itself, or a move would undo another.
func (t *Table) queued(n int, b uint32) bool {
	for _, s := range t.queue[:n] {
		if s.bucket == b {
			return true
		}
	}
	return false
}

// shift moves the entry in a slot of step i's bucket to a free slot, the entry
// before it on the path into its place, and so on; it returns the slot that
// became free in one of the two first buckets.
func (t *Table) shift(i int, slot uint, to uint32, free uint) (uint32, uint) {
	for {
		st := t.queue[i]
		bu := &t.buckets[st.bucket]
		t.buckets[to].set(free, bu.tag(slot), bu.index[slot])
		bu.set(slot, 0, 0)
		if st.from < 0 {
			return st.bucket, slot
		}
		to, free = st.bucket, slot
		i, slot = int(st.from), uint(st.slot)
	}
}
