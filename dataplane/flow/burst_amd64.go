//go:build amd64.v3

package flow

// fetchTags asks for the tags of both buckets of every hash.
func (t *Table) fetchTags(hashes []uint64) {
	fetchTags(&t.buckets[0], uint64(len(t.buckets)), &hashes[0], len(hashes))
}

// matchTags is matchTagsGo with one comparison per bucket, and asks for the
// entries.
func (t *Table) matchTags(hashes []uint64, out []uint32) {
	matchTags(&t.buckets[0], &t.entries[0], uint64(len(t.buckets)), &hashes[0], &out[0], len(hashes))
}

//go:noescape
func fetchTags(buckets *bucket, nb uint64, hashes *uint64, n int)

//go:noescape
func matchTags(buckets *bucket, entries *Entry, nb uint64, hashes *uint64, out *uint32, n int)
