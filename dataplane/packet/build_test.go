package packet

import (
	"bytes"
	"encoding/hex"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// theirView checks a frame with gVisor's accessors: lengths and all checksums.
func theirView(t *testing.T, b []byte) {
	t.Helper()
	p := b[14:]
	if p[0]>>4 == 4 {
		h := header.IPv4(p)
		if !h.IsValid(len(p)) || !h.IsChecksumValid() || int(h.TotalLength()) != len(p) || h.Flags() != header.IPv4FlagDontFragment {
			t.Errorf("gVisor refuses the IPv4 header of %x", b)
		}
		theirSegment(t, h.Protocol(), h.Payload(), h)
		return
	}
	h := header.IPv6(p)
	if !h.IsValid(len(p)) || int(h.PayloadLength())+40 != len(p) {
		t.Errorf("gVisor refuses the IPv6 header of %x", b)
	}
	theirSegment(t, h.NextHeader(), h.Payload(), h)
}

func theirSegment(t *testing.T, proto uint8, s []byte, ip header.Network) {
	t.Helper()
	switch proto {
	case 6:
		h := header.TCP(s)
		p := h.Payload()
		if !h.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(p, 0), uint16(len(p))) {
			t.Errorf("gVisor refuses the TCP checksum of %x", s)
		}
	case 17:
		h := header.UDP(s)
		if int(h.Length()) != len(s) || h.Checksum() == 0 ||
			!h.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(h.Payload(), 0)) {
			t.Errorf("gVisor refuses the UDP header of %x", s)
		}
	}
}

func TestBuiltSegmentsAreSoundForGVisorAndReadBackTheSame(t *testing.T) {
	for _, f := range families {
		for _, payload := range []string{"", "x", "odd", "even", string(bytes.Repeat([]byte("\xff\x00\xab"), 487))} {
			everyOptions(func(o TCPOptions) {
				s := TCPSpec{
					IPSpec:  IPSpec{DstMAC: macB, SrcMAC: macA, Src: addr(f.vip), Dst: addr(f.client), TTL: 63, TOS: 0x48},
					SrcPort: 80, DstPort: 40001, Seq: 0x89abcdef, Ack: 0xfedcba98, Window: 64240, Flags: SYN | ACK,
					Options: &o, Payload: []byte(payload),
				}
				b := make([]byte, 1600)
				b = b[:BuildTCP(b, &s)]
				theirView(t, b)
				var in Info
				if st := Parse(b, &in); st != OK || !VerifyTCP(b, &in) || int(in.End) != len(b) {
					t.Fatalf("%s: %v %+v", f.name, st, in)
				}
				var got TCPOptions
				if !ParseTCPOptions(in.Options(b), &got) || got != o || string(b[in.Payload:in.End]) != payload {
					t.Errorf("%s: options or payload differ: %+v", f.name, got)
				}
				if in.Src != s.Src || in.Dst != s.Dst || in.SrcPort != 80 || in.DstPort != 40001 || in.Seq != s.Seq ||
					in.Ack != s.Ack || in.Window != s.Window || in.TCPFlags != s.Flags || in.TTL != 63 || in.TOS != 0x48 {
					t.Errorf("%s: fields differ: %+v", f.name, in)
				}
			})
		}
	}
}

func TestASYNACKIsLaidOutAsLinuxLaysItOut(t *testing.T) {
	b := make([]byte, 128)
	n := BuildTCP(b, &TCPSpec{
		IPSpec:  IPSpec{DstMAC: macB, SrcMAC: macA, Src: addr("203.0.113.10"), Dst: addr("198.51.100.10")},
		SrcPort: 80, DstPort: 40000, Seq: 1, Ack: 2, Window: 65535, Flags: SYN | ACK,
		Options: &TCPOptions{MSS: 1432, SACKPermitted: true, Timestamps: true, TSval: 3, TSecr: 4, WScale: 7},
	})
	// Both checksums were computed apart from this package and from gVisor.
	const want = "02000000000b" + "02000000000a" + "0800" +
		"4500003c000040004006d473" + "cb00710a" + "c633640a" +
		"00509c400000000100000002a012ffff45290000" + "02040598" + "0402" + "080a0000000300000004" + "01" + "030307"
	if got := hex.EncodeToString(b[:n]); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestBuiltDatagramsAreSoundForGVisor(t *testing.T) {
	for _, f := range families {
		for n := range 70 {
			s := UDPSpec{
				IPSpec:  IPSpec{DstMAC: macB, SrcMAC: macA, Src: addr(f.client), Dst: addr(f.vip)},
				SrcPort: 49152, DstPort: 6081, Payload: bytes.Repeat([]byte{byte(n)}, n),
			}
			b := make([]byte, 200)
			b = b[:BuildUDP(b, &s)]
			theirView(t, b)
			var in Info
			if st := Parse(b, &in); st != OK || !VerifyUDP(b, &in) || in.PayloadLen() != n || in.TTL != 64 {
				t.Fatalf("%s: %v %+v", f.name, st, in)
			}
		}
	}
}

func TestAUDPChecksumThatComesToZeroIsSentAsAllOnes(t *testing.T) {
	s := UDPSpec{IPSpec: IPSpec{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2")}, SrcPort: 1, DstPort: 2, Payload: []byte{0, 0}}
	b := make([]byte, 64)
	n := BuildUDP(b, &s)
	s.Payload = []byte{b[40], b[41]} // adding the checksum to the data makes the sum all ones
	n = BuildUDP(b, &s)
	if b[40] != 0xff || b[41] != 0xff {
		t.Errorf("checksum %x%x", b[40], b[41])
	}
	theirView(t, b[:n])
}

func TestBuildersRefuseRoomThatIsTooSmall(t *testing.T) {
	for _, f := range families {
		ip := IPSpec{Src: addr(f.client), Dst: addr(f.vip)}
		tcp := TCPSpec{IPSpec: ip, Options: &TCPOptions{MSS: 1460, WScale: NoWScale}, Payload: []byte("abc")}
		udp := UDPSpec{IPSpec: ip, Payload: []byte("abc")}
		b := make([]byte, 128)
		nt, nu := BuildTCP(b, &tcp), BuildUDP(b, &udp)
		for n := range nt {
			if BuildTCP(b[:n:n], &tcp) != 0 {
				t.Errorf("%s: %d bytes were written into %d", f.name, nt, n)
			}
		}
		for n := range nu {
			if BuildUDP(b[:n:n], &udp) != 0 {
				t.Errorf("%s: %d bytes were written into %d", f.name, nu, n)
			}
		}
		tcp.Payload, udp.Payload = make([]byte, 65500), make([]byte, 65500)
		b = make([]byte, 70000)
		if BuildTCP(b, &tcp) != 0 || BuildUDP(b, &udp) != 0 {
			t.Errorf("%s: a packet longer than its length field can say", f.name)
		}
	}
}

func TestAResetAnswersAsRFC9293Says(t *testing.T) {
	for _, f := range families {
		for _, c := range []struct {
			what     string
			flags    uint8
			payload  string
			flagsOut uint8
			seq, ack uint32
		}{
			{"a SYN", SYN, "", RST | ACK, 0, 0xfedcba99},
			{"a SYN with data", SYN, "hello", RST | ACK, 0, 0xfedcba9e},
			{"data without ACK", PSH, "hello", RST | ACK, 0, 0xfedcba9d},
			{"a FIN without ACK", FIN, "", RST | ACK, 0, 0xfedcba99},
			{"a SYN and FIN", SYN | FIN, "", RST | ACK, 0, 0xfedcba9a},
			{"nothing at all", 0, "", RST | ACK, 0, 0xfedcba98},
			{"an ACK", ACK, "", RST, 0x01234567, 0},
			{"data", PSH | ACK, "hello", RST, 0x01234567, 0},
			{"a SYN/ACK", SYN | ACK, "", RST, 0x01234567, 0},
		} {
			var in, out Info
			Parse(frame{f.client, f.vip, 6, tcp(c.flags, "", c.payload), 0}.bytes(), &in)
			b := make([]byte, 128)
			b = b[:BuildRST(b, &in, macA, macB)]
			theirView(t, b)
			if st := Parse(b, &out); st != OK || !VerifyTCP(b, &out) {
				t.Fatalf("%s: %v", c.what, st)
			}
			if out.TCPFlags != c.flagsOut || out.Seq != c.seq || out.Ack != c.ack || out.PayloadLen() != 0 || out.Window != 0 {
				t.Errorf("%s over %s: %+v", c.what, f.name, out)
			}
			if out.Src != in.Dst || out.Dst != in.Src || out.SrcPort != 80 || out.DstPort != 40000 || [6]byte(b[:6]) != macA {
				t.Errorf("%s over %s goes to the wrong one: %+v", c.what, f.name, out)
			}
		}
	}
}

func TestAResetIsNeverAnsweredWithAReset(t *testing.T) {
	b := make([]byte, 128)
	var in Info
	Parse(frame{"198.51.100.10", "203.0.113.10", 6, tcp(RST|ACK, "", ""), 0}.bytes(), &in)
	if BuildRST(b, &in, macA, macB) != 0 {
		t.Error("a reset was answered")
	}
	Parse(frames()["IPv4 DNS"], &in)
	if BuildRST(b, &in, macA, macB) != 0 {
		t.Error("a datagram was answered")
	}
}
