package config

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// RingMember is a node that tracks flows, in one life of its dataplane: a
// dataplane that was started anew has lost its state and is another member.
type RingMember struct {
	Number uint16
	Boot   uint64
}

// RingEpoch names a ring. Nodes with the same view have the same epoch, without
// asking each other; the order of the members does not matter. It is never 0.
func RingEpoch(members []RingMember) uint32 {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b RingMember) int { return int(a.Number) - int(b.Number) })
	var b []byte
	for _, m := range sorted {
		b = binary.BigEndian.AppendUint16(b, m.Number)
		b = binary.BigEndian.AppendUint64(b, m.Boot)
	}
	sum := sha256.Sum256(b)
	return max(1, binary.BigEndian.Uint32(sum[:]))
}
