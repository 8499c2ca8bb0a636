package soak

import (
	"bytes"
	"encoding/binary"
)

// chunk is how many bytes are sent at a time.
const chunk = 1024

// pattern is the byte stream of one direction of one connection: a function of
// its seed and the position, so no byte can be lost, doubled, moved or taken
// from another connection unseen.
type pattern uint64

// word is the k-th group of eight bytes (the finish of splitmix64).
func (p pattern) word(k uint64) uint64 {
	z := uint64(p) + k*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fill writes the stream from a position that is a multiple of eight into
// whole words.
func (p pattern) fill(b []byte, at uint64) {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], p.word((at+uint64(i))/8))
	}
}

// check tells whether b is the stream from position at.
func (p pattern) check(b []byte, at uint64) bool {
	var want [chunk + 16]byte
	for len(b) > 0 {
		n := min(len(b), chunk)
		skip := at % 8
		p.fill(want[:(int(skip)+n+7)&^7], at-skip)
		if !bytes.Equal(b[:n], want[skip:int(skip)+n]) {
			return false
		}
		b, at = b[n:], at+uint64(n)
	}
	return true
}

// up and down are the seeds of a session's two directions.
func upOf(id uint64) pattern   { return pattern(id) }
func downOf(id uint64) pattern { return pattern(id ^ 0xa5a5a5a5a5a5a5a5) }
