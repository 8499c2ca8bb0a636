package flow

// Cause says why Insert evicted an entry.
type Cause uint8

const (
	EvictedNone     Cause = iota // nothing was evicted
	EvictedExpired               // it was last renewed before the cut-off
	EvictedHalfOpen              // it was live, but half-open
	EvictedLive                  // it was live and established: the table is too small
)

// Evicted is what Insert removed to make room. Index and Entry, a copy, mean
// nothing if Cause is EvictedNone. The new entry may or may not have the index.
type Evicted struct {
	Cause Cause
	Index uint32
	Entry Entry
}

// Insert adds a key that is not in the table (the caller has looked) and
// returns its index; the entry's value is zero except Renewed, which is the
// cut-off until the caller sets it. When the table is full it evicts one entry:
// the oldest that was last renewed before tick cutoff, else the least recently
// renewed half-open one, else the least recently renewed; the choice is among
// the entries of three buckets (up to 48; in tables for up to 12 flows, all).
func (t *Table) Insert(k *Key, h uint64, cutoff uint32) (idx uint32, ev Evicted) {
	b1, b2 := t.first(h), t.second(h)
	n1, n2 := t.buckets[b1].used(), t.buckets[b2].used()
	b := b1
	if n2 < n1 {
		b = b2
	}
	if crowded := min(n1, n2) == slots; crowded || t.live >= t.capacity {
		v := victim{cutoff: cutoff}
		t.look(b1, &v)
		t.look(b2, &v)
		for i := uint32(1); !crowded && (i == 1 || v.cause == EvictedNone); i++ {
			t.look((b1+i)%uint32(len(t.buckets)), &v)
		}
		ev = Evicted{Cause: v.cause, Index: v.idx, Entry: t.entries[v.idx]}
		t.Delete(v.idx)
		if crowded {
			b = v.idx / slots
		}
	}
	idx = b*slots + slotOf(t.buckets[b].match(0))
	t.buckets[b].set(idx%slots, tagOf(h))
	t.entries[idx] = Entry{Key: *k, Renewed: cutoff, used: 1}
	t.live++
	return idx, ev
}

// Delete takes an entry out; its index may be given out again by the next Insert.
func (t *Table) Delete(idx uint32) {
	if !t.Used(idx) {
		return
	}
	t.buckets[idx/slots].set(idx%slots, 0)
	t.entries[idx] = Entry{}
	t.live--
}

// Clear forgets everything at once.
func (t *Table) Clear() {
	clear(t.buckets)
	clear(t.entries)
	t.live = 0
}

// victim is the entry that goes first of those looked at; none if its cause is
// EvictedNone.
type victim struct {
	cutoff uint32
	idx    uint32
	rank   uint64
	cause  Cause
}

// look considers all entries of a bucket.
func (t *Table) look(b uint32, v *victim) {
	for idx := b * slots; idx < (b+1)*slots; idx++ {
		e := &t.entries[idx]
		if e.used == 0 {
			continue
		}
		if rank, cause := e.rank(v.cutoff); v.cause == EvictedNone || rank < v.rank {
			v.idx, v.rank, v.cause = idx, rank, cause
		}
	}
}

// before reports whether tick a is before tick b; ticks may wrap.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// rank orders entries by who goes first: the lower, the sooner. Expired
// entries, then half-open, then established; within each the oldest renewal.
// The age is measured against the cut-off, so that wrapping ticks order right.
func (e *Entry) rank(cutoff uint32) (uint64, Cause) {
	age := uint64(e.Renewed-cutoff) ^ 1<<31 // rises with Renewed
	switch {
	case before(e.Renewed, cutoff):
		return age, EvictedExpired
	case e.Flags&FlagHalfOpen != 0:
		return 1<<32 | age, EvictedHalfOpen
	default:
		return 2<<32 | age, EvictedLive
	}
}
