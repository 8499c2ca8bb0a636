package flow

import "math/bits"

// Seed keys a hash; without it nobody outside can aim at one core, one bucket
// or one server. Every use (table, steering, ring, ranking) has its own seed.
type Seed [2]uint64

// Hash is s.Hash.
func Hash(k *Key, s Seed) uint64 { return s.Hash(k) }

// Hash mixes a key with two multiplications per pair of words (the wyhash
// construction): about a nanosecond, and unpredictable without the seed. The
// seed comes by pointer because Go copies arrays through memory.
func (s *Seed) Hash(k *Key) uint64 {
	w := k.Words()
	a := mix(w[0]^w[2]^s[0], w[1]^bits.RotateLeft64(w[3], 32)^s[1])
	b := mix(w[3]^s[1]^0x9e3779b97f4a7c15, w[4]^bits.RotateLeft64(w[0], 17)^s[0])
	return mix(a^w[1]^w[2]^0xa0761d6478bd642f, b^s[1]^w[4])
}

// Mix joins a hash with another number (a node's or server's seed) and mixes again.
func Mix(h, x uint64) uint64 {
	return mix(h^0xe7037ed1a0b428db, x^0x8ebc6af09c88c6e3)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
