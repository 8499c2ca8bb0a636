package flow

import "iter"

// Sweep goes through the table in pieces: each use looks at no more than n
// indexes from the cursor on, yields those in use, and moves the cursor, which
// wraps. The caller may delete what it is given.
func (t *Table) Sweep(cursor *uint32, n int) iter.Seq2[uint32, *Entry] {
	return func(yield func(uint32, *Entry) bool) {
		for range min(n, len(t.entries)) {
			i := *cursor
			if int(i) >= len(t.entries) {
				i = 0
			}
			*cursor = i + 1
			if e := &t.entries[i]; e.used != 0 && !yield(i, e) {
				return
			}
		}
	}
}
