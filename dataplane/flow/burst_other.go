//go:build !amd64.v3

package flow

// fetchTags does nothing: Go has no prefetch. The passes alone let some of the
// misses overlap.
func (t *Table) fetchTags([]uint64) {}

func (t *Table) matchTags(hashes []uint64, out []uint32) { t.matchTagsGo(hashes, out) }
