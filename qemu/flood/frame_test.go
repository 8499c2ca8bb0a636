package flood

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	gsum "gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var path = Path{From: net.HardwareAddr{2, 0, 0, 0, 0, 1}, To: net.HardwareAddr{2, 0, 0, 0, 0, 2}}

func TestSegmentsAreValid(t *testing.T) {
	for _, s := range []Segment{
		{Src: netip.MustParseAddrPort("11.1.2.3:1234"), Dst: netip.MustParseAddrPort("203.0.113.10:80"), Flags: SYN, Options: synOptions},
		{Src: netip.MustParseAddrPort("[2001:db8:bad::1]:1234"), Dst: netip.MustParseAddrPort("[2001:db8:100::10]:80"), Flags: ACK, Payload: []byte("odd")},
	} {
		var room [MaxFrame]byte
		frame := room[14:path.Write(room[:], s)]
		var transport []byte
		var src, dst tcpip.Address
		if s.Src.Addr().Is4() {
			ip := header.IPv4(frame)
			if !ip.IsValid(len(frame)) || !ip.IsChecksumValid() {
				t.Fatalf("%v: bad IPv4 header", s.Src)
			}
			transport, src, dst = ip.Payload(), ip.SourceAddress(), ip.DestinationAddress()
		} else {
			ip := header.IPv6(frame)
			if !ip.IsValid(len(frame)) {
				t.Fatalf("%v: bad IPv6 header", s.Src)
			}
			transport, src, dst = ip.Payload(), ip.SourceAddress(), ip.DestinationAddress()
		}
		tcp := header.TCP(transport)
		if !tcp.IsChecksumValid(src, dst, gsum.Checksum(tcp.Payload(), 0), uint16(len(tcp.Payload()))) {
			t.Errorf("%v: bad TCP checksum", s.Src)
		}
		if tcp.SourcePort() != s.Src.Port() || byte(tcp.Flags()) != s.Flags || string(tcp.Payload()) != string(s.Payload) {
			t.Errorf("%v: the segment came out as %v %q", s.Src, tcp.Flags(), tcp.Payload())
		}
	}
}

func TestGarbageFitsItsFrameAndIsAFunctionOfItsSeed(t *testing.T) {
	for _, aim := range []Aim{
		{path, netip.MustParseAddr("10.20.0.66"), netip.MustParseAddr("10.20.0.11"), netip.MustParseAddrPort("203.0.113.10:80")},
		{path, netip.MustParseAddr("10.20.0.66"), netip.MustParseAddr("10.20.0.11"), netip.MustParseAddrPort("[2001:db8:100::10]:80")},
	} {
		a := Garbage(aim, rand.New(rand.NewPCG(1, 2)))
		b := Garbage(aim, rand.New(rand.NewPCG(1, 2)))
		for i := range 20_000 {
			var fa, fb [MaxFrame]byte
			na, nb := a(i, fa[:]), b(i, fb[:])
			if na < 14 || na > MaxFrame {
				t.Fatalf("frame %d has %d bytes", i, na)
			}
			if na != nb || fa != fb {
				t.Fatalf("frame %d differs between two runs of one seed", i)
			}
		}
	}
}
