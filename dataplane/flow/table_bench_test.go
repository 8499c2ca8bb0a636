package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkLookupBurst hashes and looks up established flows in random order,
// 32 at a time; the time is per key.
func BenchmarkLookupBurst(b *testing.B) {
	for _, flows := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(flows), func(b *testing.B) {
			tab := newTable(b, flows)
			order := make([]Key, flows)
			for n := range order {
				tab.mustInsert(b, uint32(n), 0)
				order[n] = numbered(uint32(n))
			}
			rand.New(rand.NewPCG(1, 2)).Shuffle(flows, func(i, j int) { order[i], order[j] = order[j], order[i] })
			var hashes [32]uint64
			var out [32]uint32
			next := 0
			b.ResetTimer()
			for range b.N / len(out) {
				if next+len(out) > flows {
					next = 0
				}
				keys := order[next : next+len(out)]
				for i := range keys {
					hashes[i] = tab.Hash(&keys[i])
				}
				tab.LookupBurst(keys, hashes[:], out[:])
				next += len(out)
			}
			b.ReportMetric(tab.BytesPerFlow(), "B/flow")
		})
	}
}

// BenchmarkInsert inserts into a full table, evicting every time.
func BenchmarkInsert(b *testing.B) {
	const capacity = 100_000
	tab := newTable(b, capacity)
	for n := range uint32(capacity) {
		tab.mustInsert(b, n, 0)
	}
	b.ResetTimer()
	for n := range uint32(b.N) {
		k := numbered(capacity + n)
		idx, _ := tab.Insert(&k, tab.Hash(&k), 0)
		tab.Entry(idx).Renewed = n
	}
}
