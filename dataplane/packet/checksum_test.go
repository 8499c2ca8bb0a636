package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

func TestTheSumOfRFC1071sExample(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := Fold(Add(0, b)); got != 0xddf2 {
		t.Errorf("%#x", got)
	}
}

func TestTheChecksumOfAKnownIPv4Header(t *testing.T) {
	// The header of Wikipedia's article on the IPv4 header checksum.
	b := []byte{0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7}
	if got := Checksum(b); got != 0xb861 {
		t.Errorf("%#x", got)
	}
}

func TestSumsAgreeWithGVisorAtEveryLengthAndAlignment(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	mem := make([]byte, 2048)
	for i := range mem {
		mem[i] = byte(r.Uint32())
	}
	for start := range 9 {
		for n := range 200 {
			b := mem[start : start+n]
			if got, want := Fold(Add(0, b)), checksum.Checksum(b, 0); got != want {
				t.Fatalf("%d bytes from %d: %#x, want %#x", n, start, got, want)
			}
		}
	}
}

func TestSumsCarryAtTheirLimits(t *testing.T) {
	for n := range 100 {
		b := make([]byte, n)
		for i := range b {
			b[i] = 0xff
		}
		for _, acc := range []uint64{0, 1, 0xffff, 1<<63 - 1, 1<<64 - 1} {
			var head [8]byte
			binary.LittleEndian.PutUint64(head[:], acc)
			if got, want := Fold(Add(acc, b)), checksum.Checksum(append(head[:], b...), 0); got != want {
				t.Fatalf("%d bytes after %#x: %#x, want %#x", n, acc, got, want)
			}
		}
	}
}
