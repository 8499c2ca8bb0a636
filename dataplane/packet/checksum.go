package packet

import (
	"encoding/binary"
	"math/bits"
)

// Add adds b to a running Internet checksum (RFC 1071), eight bytes a step.
// Running sums are in little-endian order, which Fold undoes. Only the last
// piece of a sum may have an odd length.
func Add(acc uint64, b []byte) uint64 {
	var c uint64
	le := binary.LittleEndian
	for len(b) >= 32 {
		acc, c = bits.Add64(acc, le.Uint64(b), c)
		acc, c = bits.Add64(acc, le.Uint64(b[8:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[16:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[24:]), c)
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, le.Uint64(b), c)
		b = b[8:]
	}
	var rest uint64
	if len(b) >= 4 {
		rest = uint64(le.Uint32(b))
		b = b[4:]
	}
	var tail uint64
	if len(b) >= 2 {
		tail = uint64(le.Uint16(b))
		if len(b) == 3 {
			tail |= uint64(b[2]) << 16
		}
	} else if len(b) == 1 {
		tail = uint64(b[0])
	}
	acc, c = bits.Add64(acc, rest+tail, c)
	acc, c = bits.Add64(acc, 0, c)
	return acc + c
}

// Fold reduces a running sum to 16 bits in host order. The checksum to write
// is its complement; a sum that covers a right checksum folds to 0xffff.
func Fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return bits.ReverseBytes16(uint16(acc))
}

// Checksum is the Internet checksum of b, to be written big-endian.
func Checksum(b []byte) uint16 { return ^Fold(Add(0, b)) }

// pseudo begins the sum of a transport segment with its pseudo header: RFC
// 9293, 3.1 for IPv4 and RFC 8200, 8.1 for IPv6. addresses are source and
// destination, as they stand in the header: 8 or 32 bytes.
func pseudo(addresses []byte, proto uint8, length int) uint64 {
	// Both forms add up to the same words: length, at most 65535, and protocol.
	return Add(uint64(bits.ReverseBytes16(uint16(length)))+uint64(proto)<<8, addresses)
}
