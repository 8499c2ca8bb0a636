package simulation

// stream is an endless sequence of bytes that both ends of a connection can
// compute: whoever receives a byte knows whether it is the right one.
type stream uint64

// at is the byte at position i.
func (s stream) at(i int) byte {
	z := uint64(s) + (uint64(i)/8+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return byte((z ^ z>>31) >> (8 * (uint(i) % 8)))
}

// read fills b with the bytes from position i on.
func (s stream) read(b []byte, i int) {
	for j := range b {
		b[j] = s.at(i + j)
	}
}

// mismatch is the index in b of the first byte that is not the stream's from
// position i on, or -1.
func (s stream) mismatch(b []byte, i int) int {
	for j := range b {
		if b[j] != s.at(i+j) {
			return j
		}
	}
	return -1
}
