package packet

import (
	"encoding/binary"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/flow"
)

func TestParseReadsEveryFieldOfASegmentInBothFamilies(t *testing.T) {
	for _, f := range families {
		b := frame{f.client, f.vip, 6, tcp(PSH|ACK, "\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02", "hello"), 7}.bytes()
		l4 := uint16(34)
		etherType := uint16(0x0800)
		if f.name == "IPv6" {
			l4, etherType = 54, 0x86dd
		}
		want := Info{
			Src: addr(f.client), Dst: addr(f.vip), SrcPort: 40000, DstPort: 80,
			Seq: 0xfedcba98, Ack: 0x01234567, Window: 501, TCPFlags: 0x18,
			EtherType: etherType, IsV6: l4 == 54, L3: 14, L4: l4, Payload: l4 + 32, End: l4 + 37, L3Len: l4 - 14 + 37,
			Proto: 6, TTL: 61, TOS: 0xb9,
		}
		var in Info
		if st := Parse(b, &in); st != OK || in != want {
			t.Errorf("%s: %v\n got %+v\nwant %+v", f.name, st, in, want)
		}
		if in.PayloadLen() != 5 || in.SegmentLen() != 5 || len(in.Options(b)) != 12 {
			t.Errorf("%s: derived values of %+v", f.name, in)
		}
	}
}

func TestParseAcceptsEveryKindOfSoundFrameAndItsChecksum(t *testing.T) {
	for name, b := range frames() {
		var in Info
		if st := Parse(b, &in); st != OK {
			t.Errorf("%s: %v", name, st)
		}
		sound := map[uint8]func([]byte, *Info) bool{6: VerifyTCP, 17: VerifyUDP, 1: VerifyICMP, 58: VerifyICMP}[in.Proto]
		if in.EtherType == EtherTypeARP {
			if in.Src != addr("10.20.0.11") || in.Dst != addr("10.20.0.101") || in.End != 42 {
				t.Errorf("%s: %+v", name, in)
			}
			continue
		}
		if !sound(b, &in) {
			t.Errorf("%s: checksum is not accepted", name)
		}
		for i := int(in.L4); i < int(in.End); i++ {
			b[i] ^= 0x40
			if in2 := in; sound(b, &in2) {
				t.Errorf("%s: checksum covers no byte %d", name, i)
			}
			b[i] ^= 0x40
		}
	}
}

// change returns a copy of a sound frame after edit, its IPv4 header checksum made right again.
func change(b []byte, edit func(b []byte) []byte) []byte {
	b = edit(append([]byte(nil), b...))
	if len(b) >= 34 && b[12] == 8 && b[13] == 0 && b[14]>>4 == 4 {
		if n := int(b[14]&15) * 4; n >= 20 && len(b) >= 14+n {
			h := header.IPv4(b[14 : 14+n])
			h.SetChecksum(0)
			h.SetChecksum(^h.CalculateChecksum())
		}
	}
	return b
}

// set is an edit of one byte.
func set(at int, v byte) func([]byte) []byte {
	return func(b []byte) []byte { b[at] = v; return b }
}

// cut is an edit that leaves n bytes.
func cut(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

// withIPOptions inserts n bytes of NOP options behind the IPv4 header.
func withIPOptions(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		out := append([]byte(nil), b[:34]...)
		for range n {
			out = append(out, 1)
		}
		out = append(out, b[34:]...)
		out[14] = 0x45 + byte(n/4)
		binary.BigEndian.PutUint16(out[16:], binary.BigEndian.Uint16(b[16:])+uint16(n))
		return out
	}
}

func TestParseNamesWhatIsWrongWithAFrameAndFlowOfAgrees(t *testing.T) {
	all := frames()
	for _, c := range []struct {
		what string
		from string
		edit func([]byte) []byte
		want Status
	}{
		{"nothing at all", "IPv4 ACK", cut(0), Truncated},
		{"half an Ethernet header", "IPv4 ACK", cut(13), Truncated},
		{"Ethernet alone", "IPv4 ACK", cut(14), Truncated},
		{"a VLAN tag", "IPv4 ACK", set(12, 0x81), Unsupported},
		{"an EtherType of nobody", "IPv6 ACK", set(13, 0x01), Unsupported},
		{"half an IPv4 header", "IPv4 ACK", cut(33), Truncated},
		{"IPv4 cut inside TCP", "IPv4 ACK", cut(53), Truncated},
		{"IPv6 under IPv4's EtherType", "IPv4 ACK", set(14, 0x65), BadHeader},
		{"IPv4 under IPv6's EtherType", "IPv6 ACK", set(14, 0x45), BadHeader},
		{"an IPv4 header of 16 bytes", "IPv4 ACK", set(14, 0x44), BadHeader},
		{"an IPv4 header longer than the frame", "IPv4 ACK", func(b []byte) []byte { b[14] = 0x4f; return b[:60] }, Truncated},
		{"IPv4 options", "IPv4 SYN", withIPOptions(8), OK},
		{"as many IPv4 options as there can be", "IPv4 DNS", withIPOptions(40), OK},
		{"a total length below the header's", "IPv4 ACK", func(b []byte) []byte { b[16], b[17] = 0, 19; return b }, BadLength},
		{"a total length that cuts TCP", "IPv4 ACK", set(17, 39), BadLength},
		{"a total length beyond the frame", "IPv4 data", set(17, 200), Truncated},
		{"a first fragment", "IPv4 data", set(20, 0x20), Fragment},
		{"a later fragment", "IPv4 data", set(21, 1), Fragment},
		{"don't fragment", "IPv4 data", set(20, 0x40), OK},
		{"SCTP", "IPv4 ACK", set(23, 132), Unsupported},
		{"ICMPv6 over IPv4", "IPv4 ACK", set(23, 58), Unsupported},
		{"ICMP over IPv6", "IPv6 ACK", set(20, 1), Unsupported},
		{"half an IPv6 header", "IPv6 ACK", cut(53), Truncated},
		{"IPv6 cut inside TCP", "IPv6 ACK", cut(73), Truncated},
		{"a payload length beyond the frame", "IPv6 data", set(19, 200), Truncated},
		{"a payload length that cuts TCP", "IPv6 ACK", set(19, 19), BadLength},
		{"an IPv6 fragment", "IPv6 data", set(20, 44), Fragment},
		{"hop-by-hop options", "IPv6 data", set(20, 0), Unsupported},
		{"a routing header", "IPv6 data", set(20, 43), Unsupported},
		{"no next header", "IPv6 data", set(20, 59), Unsupported},
		{"a data offset below 5", "IPv4 ACK", set(46, 0x40), BadHeader},
		{"a data offset beyond the segment", "IPv4 ACK", set(46, 0x60), BadLength},
		{"the same over IPv6", "IPv6 ACK", set(66, 0x60), BadLength},
		{"a UDP length of 7", "IPv4 DNS", set(39, 7), BadLength},
		{"a UDP length beyond IP's", "IPv4 DNS", set(39, 17), BadLength},
		{"a UDP length of zero", "IPv6 DNS", set(59, 0), BadLength},
		{"a UDP length below IP's", "IPv6 DNS", set(59, 12), OK},
		{"a short ICMP message", "IPv4 echo", set(17, 27), BadLength},
		{"a short ICMPv6 message", "IPv6 echo", set(19, 7), BadLength},
		{"ARP for tokens", "ARP", set(15, 6), Unsupported},
		{"half an ARP message", "ARP", cut(41), Truncated},
		{"more than a buffer can hold", "IPv4 ACK", func(b []byte) []byte { return append(b, make([]byte, 65536)...) }, BadLength},
	} {
		b := change(all[c.from], c.edit)
		var in Info
		if got := Parse(b, &in); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		flows := in.EtherType != EtherTypeARP && in.Proto != ProtoICMP && in.Proto != ProtoICMPv6 && len(b) < 65536
		var k flow.Key
		if _, _, got := FlowOf(b, &k); flows && got != c.want {
			t.Errorf("%s: FlowOf says %v, want %v", c.what, got, c.want)
		}
	}
}

func TestAFlippedBitInAnIPv4HeaderIsABadChecksumOrABadHeader(t *testing.T) {
	b := frames()["IPv4 data"]
	for bit := 14 * 8; bit < 34*8; bit++ {
		b[bit/8] ^= 1 << (bit % 8)
		var in Info
		var k flow.Key
		if st := Parse(b, &in); st == OK {
			t.Errorf("Parse does not see bit %d", bit)
		}
		if _, _, st := FlowOf(b, &k); st == OK {
			t.Errorf("FlowOf does not see bit %d", bit)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func TestFlowOfAndParseNameTheSameFlow(t *testing.T) {
	for name, b := range frames() {
		var in Info
		Parse(b, &in)
		var k flow.Key
		l3, l4, st := FlowOf(b, &k)
		if in.Proto != ProtoTCP && in.Proto != ProtoUDP {
			if st != Unsupported {
				t.Errorf("%s: FlowOf says %v", name, st)
			}
			continue
		}
		var want flow.Key
		in.Key(&want)
		if st != OK || k != want || l3 != int(in.L3) || l4 != int(in.L4) {
			t.Errorf("%s: %v %v at %d and %d, want %v", name, st, k, l3, l4, want)
		}
		l3, l4, st = ReverseFlowOf(b, &k)
		in.ReverseKey(&want)
		if st != OK || k != want || l3 != int(in.L3) || l4 != int(in.L4) {
			t.Errorf("%s: reversed %v %v, want %v", name, st, k, want)
		}
	}
}

func TestAUDPChecksumMayBeAbsentOverIPv4Only(t *testing.T) {
	for name, at := range map[string]int{"IPv4 DNS": 40, "IPv6 DNS": 60} {
		b := frames()[name]
		b[at], b[at+1] = 0, 0
		var in Info
		if Parse(b, &in); VerifyUDP(b, &in) != !in.IsV6 {
			t.Errorf("%s: accepted %v", name, in.IsV6)
		}
	}
}

func TestVerifyRefusesWhatParseDidNotDescribe(t *testing.T) {
	b := frames()["IPv4 data"]
	var in Info
	Parse(b, &in)
	if VerifyTCP(b[:40], &in) || VerifyTCP(nil, &in) || VerifyTCP(b, &Info{}) || VerifyUDP(b, &in) || VerifyICMP(b, &in) {
		t.Error("a segment was accepted that is not there")
	}
	if VerifyUDP(b, &Info{Proto: ProtoUDP, L3: 14, L4: 34, End: 36}) || in.Options(b[:40]) != nil {
		t.Error("bytes were read beyond the datagram")
	}
}

func TestEveryStatusHasAName(t *testing.T) {
	seen := map[string]bool{}
	for s := range NumStatus {
		if name := s.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("status %d: %q", s, name)
		} else {
			seen[name] = true
		}
	}
	if NumStatus.String() != "unknown" {
		t.Error("a status of nobody has a name")
	}
}
