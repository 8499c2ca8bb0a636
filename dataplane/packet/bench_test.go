package packet

import (
	"testing"

	"weir/dataplane/flow"
)

// burst is 64 frames of different flows in memory of their own, as a driver hands them out.
func burst(client, vip string) []Buf {
	bufs := make([]Buf, 64)
	for i := range bufs {
		bufs[i] = newBuf(BuildTCP, &TCPSpec{
			IPSpec:  IPSpec{Src: addr(client), Dst: addr(vip)},
			SrcPort: uint16(1024 + i), DstPort: 80, Flags: ACK,
		})
	}
	return bufs
}

// families are the addresses of the lab's client and public address.
var families = []struct{ name, client, vip string }{
	{"IPv4", "198.51.100.10", "203.0.113.10"},
	{"IPv6", "2001:db8:51::10", "2001:db8:100::10"},
}

func BenchmarkParse(b *testing.B) {
	for _, f := range families {
		b.Run(f.name, func(b *testing.B) {
			bufs := burst(f.client, f.vip)
			var in Info
			for i := 0; b.Loop(); i++ {
				Parse(bufs[i%64].Bytes(), &in)
			}
		})
	}
}

func BenchmarkFlowOf(b *testing.B) {
	for _, f := range families {
		b.Run(f.name, func(b *testing.B) {
			bufs := burst(f.client, f.vip)
			var keys [64]flow.Key
			for i := 0; b.Loop(); i++ {
				FlowOf(bufs[i%64].Bytes(), &keys[i%64])
			}
		})
	}
}

// BenchmarkEncapsulate includes setting up a Buf, which is five stores.
func BenchmarkEncapsulate(b *testing.B) {
	for _, f := range families {
		b.Run(f.name, func(b *testing.B) {
			bufs := burst(f.client, f.vip)
			t := target(b)
			for i := 0; b.Loop(); i++ {
				buf := bufs[i%64]
				Encapsulate(&buf, &t, 50000)
			}
		})
	}
}

func BenchmarkDecapsulate(b *testing.B) {
	for _, f := range families {
		b.Run(f.name, func(b *testing.B) {
			bufs := burst(f.client, f.vip)
			t := target(b)
			for i := range bufs {
				Encapsulate(&bufs[i], &t, 50000)
			}
			for i := 0; b.Loop(); i++ {
				buf := bufs[i%64]
				Decapsulate(&buf)
				h := buf.Bytes()
				h[0], h[12], h[13] = 2, 0, 0 // restores the outer UDP checksum field
			}
		})
	}
}

func BenchmarkChecksum(b *testing.B) {
	data := make([]byte, 1460)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Checksum(data)
	}
}

func BenchmarkBuildSYNACK(b *testing.B) {
	for _, f := range families {
		b.Run(f.name, func(b *testing.B) {
			var frame [128]byte
			s := TCPSpec{
				IPSpec:  IPSpec{Src: addr(f.vip), Dst: addr(f.client)},
				SrcPort: 80, DstPort: 1024, Flags: SYN | ACK, Window: 65535,
				Options: &TCPOptions{MSS: 1432, WScale: 7, SACKPermitted: true, Timestamps: true},
			}
			for b.Loop() {
				BuildTCP(frame[:], &s)
			}
		})
	}
}
