package flow

// MaxBurst is the longest burst that is worth handing to LookupBurst at once.
const MaxBurst = 64

// LookupBurst looks up all keys of a burst; hashes are their Hash, and out gets
// an index or NotFound for each. All three have the same length. It works in
// passes over the whole burst, each of which asks for the memory that the next
// one needs, so that the cache misses of a burst overlap: first the tags of all
// buckets, then the entries whose tags match, then the keys are compared. After
// it the entries found are in the core's cache.
func (t *Table) LookupBurst(keys []Key, hashes []uint64, out []uint32) {
	n := len(keys)
	if n == 0 {
		return
	}
	hashes, out = hashes[:n], out[:n]
	t.fetchTags(hashes)
	t.matchTags(hashes, out)
	for i := range keys {
		k, e := keys[i].Words(), &t.entries[out[i]]
		w := e.Words()
		differ := (w[0] ^ k[0]) | (w[1] ^ k[1]) | (w[2] ^ k[2]) | (w[3] ^ k[3]) | (w[4] ^ k[4])
		if differ != 0 || e.used == 0 {
			// No such flow, or another flow with the same tag was in the way.
			out[i], _ = t.Lookup(&keys[i], hashes[i])
		}
	}
}

// matchTagsGo gives for every hash the first index in its two buckets whose tag
// matches, or any index of theirs if none does. It is what matchTags does.
func (t *Table) matchTagsGo(hashes []uint64, out []uint32) {
	for i, h := range hashes {
		tag, b := tagOf(h), t.first(h)
		set := t.buckets[b].match(tag)
		if set == 0 {
			b = t.second(h)
			set = t.buckets[b].match(tag)
		}
		out[i] = b*slots + slotOf(set)
	}
}
