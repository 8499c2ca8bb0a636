package packet

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestAnEncapsulatedPacketIsTheInnerOneBehindSoundOuterHeaders(t *testing.T) {
	tunnel := target(t)
	for name, f := range frames() {
		var in Info
		if Parse(f, &in); in.EtherType == EtherTypeARP {
			continue
		}
		b := frameBuf(f)
		if st := Encapsulate(&b, &tunnel, 50001); st != OK {
			t.Fatalf("%s: %v", name, st)
		}
		out := b.Bytes()
		if len(out) != 42+int(in.L3Len) || !bytes.Equal(out[42:], f[14:14+in.L3Len]) {
			t.Errorf("%s: inner packet differs", name)
		}
		if b.Head != headRoom-28 || int(b.Head)+int(b.Len)+int(b.Tail) != headRoom+len(f)+tailRoom {
			t.Errorf("%s: room is miscounted: %+v", name, b)
		}
		ip := header.IPv4(out[14:])
		u := header.UDP(ip.Payload())
		if [6]byte(out[:6]) != macB || [6]byte(out[6:12]) != macA || !ip.IsValid(len(out)-14) || !ip.IsChecksumValid() ||
			ip.Flags() != header.IPv4FlagDontFragment || ip.ID() != 0 || ip.TTL() != 64 ||
			ip.SourceAddress() != gaddr("10.20.0.11") || ip.DestinationAddress() != gaddr("10.20.0.101") {
			t.Errorf("%s: outer IPv4 header %x", name, out[:34])
		}
		if u.SourcePort() != 50001 || u.DestinationPort() != 6080 || u.Checksum() != 0 || int(u.Length()) != len(out)-34 {
			t.Errorf("%s: outer UDP header %x", name, out[34:42])
		}
	}
}

func TestTheTemplatesChecksumIsRightForEveryLength(t *testing.T) {
	for _, dst := range []string{"10.20.0.101", "255.255.255.255", "0.0.0.0", "191.255.0.0"} {
		tunnel, err := NewEncapTarget(macB, macA, netip.MustParseAddr(dst), netip.MustParseAddr("255.254.1.2"))
		if err != nil {
			t.Fatal(err)
		}
		for n := 8; n <= 0xffff-20; n++ {
			var h [TunnelSize]byte
			tunnel.put(&h, 1, 2, uint16(n))
			if checksum.Checksum(h[14:34], 0) != 0xffff {
				t.Fatalf("wrong for %d bytes to %s: %x", n, dst, h)
			}
		}
	}
}

func TestDecapsulationUndoesEncapsulation(t *testing.T) {
	tunnel := target(t)
	for name, f := range frames() {
		var in Info
		if Parse(f, &in); in.EtherType == EtherTypeARP {
			continue
		}
		b := frameBuf(f)
		Encapsulate(&b, &tunnel, 50001)
		b.Resize(b.Len + 9) // link padding
		o, st := Decapsulate(&b)
		if st != OK || o != (Outer{Src: [4]byte{10, 20, 0, 11}, Dst: [4]byte{10, 20, 0, 101}, SrcPort: 50001}) {
			t.Fatalf("%s: %v %+v", name, st, o)
		}
		if b.Head != headRoom || int(b.Head)+int(b.Len)+int(b.Tail) != headRoom+len(f)+tailRoom {
			t.Errorf("%s: room is miscounted: %+v", name, b)
		}
		var again Info
		if st := Parse(b.Bytes(), &again); st != OK || again != in {
			t.Errorf("%s: %v %+v", name, st, again)
		}
		PutEthernet(b.Bytes(), macB, macA, in.EtherType)
		if !bytes.Equal(b.Bytes(), f[:14+in.L3Len]) {
			t.Errorf("%s: frame differs:\n%x\n%x", name, b.Bytes(), f)
		}
	}
}

func TestDecapsulateNamesWhatIsWrongAndLeavesTheFrameAlone(t *testing.T) {
	tunnel := target(t)
	all := frames()
	for _, c := range []struct {
		what string
		from string
		edit func([]byte) []byte
		want Status
	}{
		{"nothing wrong", "IPv4 data", cut(42 + 58), OK},
		{"nothing", "IPv4 data", cut(0), Truncated},
		{"outer headers alone", "IPv4 data", cut(42), Truncated},
		{"half an inner packet", "IPv4 data", cut(80), Truncated},
		{"outer IPv6", "IPv4 data", set(12, 0x86), Unsupported},
		{"outer IPv4 options", "IPv4 data", set(14, 0x46), BadHeader},
		{"an outer length too small", "IPv4 data", func(b []byte) []byte { b[16], b[17] = 0, 47; return b }, BadLength},
		{"an outer length beyond the frame", "IPv4 data", set(17, 255), Truncated},
		{"an outer fragment", "IPv4 data", set(20, 0x20), Fragment},
		{"outer TCP", "IPv4 data", set(23, 6), NotTunnel},
		{"another port", "IPv4 data", set(37, 0xc1), NotTunnel},
		{"a UDP length of its own", "IPv4 data", set(39, 50), BadLength},
		{"GUE variant 0", "IPv4 data", set(42, 0x05), NotTunnel},
		{"an inner version of 5", "IPv4 data", set(42, 0x55), NotTunnel},
		{"an inner length too small", "IPv4 data", set(45, 20), BadLength},
		{"an inner length too large", "IPv6 data", set(47, 200), BadLength},
		{"inner IPv6 cut to 39 bytes", "IPv6 data", func(b []byte) []byte {
			b[17], b[39], b[46], b[47] = 20+8+39, 8+39, 0xff, 0xff
			return b
		}, BadLength},
		{"a wrong outer UDP checksum", "IPv4 data", set(40, 1), BadChecksum},
		{"a right outer UDP checksum", "IPv4 odd data", func(b []byte) []byte {
			ip := header.IPv4(b[14:])
			u := header.UDP(ip.Payload())
			u.SetChecksum(^u.CalculateChecksum(checksum.Checksum(u.Payload(),
				header.PseudoHeaderChecksum(17, ip.SourceAddress(), ip.DestinationAddress(), u.Length()))))
			return b
		}, OK},
	} {
		b := frameBuf(all[c.from])
		Encapsulate(&b, &tunnel, 50001)
		f := change(b.Bytes(), c.edit)
		b = frameBuf(f)
		was := b
		_, st := Decapsulate(&b)
		if st != c.want {
			t.Errorf("%s: %v, want %v", c.what, st, c.want)
		}
		if st != OK && (b != was || !bytes.Equal(b.Bytes(), f)) {
			t.Errorf("%s: the frame was changed", c.what)
		}
	}
}

func TestAnOuterHeaderWithAFlippedBitIsRefused(t *testing.T) {
	tunnel := target(t)
	b := frameBuf(frames()["IPv4 data"])
	Encapsulate(&b, &tunnel, 50001)
	for bit := 14 * 8; bit < 34*8; bit++ {
		f := b.Bytes()
		f[bit/8] ^= 1 << (bit % 8)
		c := b
		if _, st := Decapsulate(&c); st == OK {
			t.Errorf("bit %d is not seen", bit)
		}
		f[bit/8] ^= 1 << (bit % 8)
	}
}

func TestEncapsulateNeedsHeadRoomAndASoundLength(t *testing.T) {
	tunnel := target(t)
	for _, c := range []struct {
		what string
		edit func(b *Buf)
		want Status
	}{
		{"28 bytes of head room", func(b *Buf) { b.Head = 28 }, OK},
		{"27 bytes of head room", func(b *Buf) { b.Head = 27 }, NoRoom},
		{"a frame of 33 bytes", func(b *Buf) { b.Len = 33 }, Truncated},
		{"a frame that ends inside the packet", func(b *Buf) { b.Len-- }, BadLength},
	} {
		for _, name := range []string{"IPv4 data", "IPv6 data"} {
			b := frameBuf(frames()[name])
			c.edit(&b)
			was := b
			if st := Encapsulate(&b, &tunnel, 1); st != c.want || st != OK && b != was {
				t.Errorf("%s, %s: %v, want %v", name, c.what, st, c.want)
			}
		}
	}
}

func TestAControlDatagramGetsTheHeadersOfItsTarget(t *testing.T) {
	tunnel := target(t)
	b := frameBuf([]byte("a control datagram"))
	if st := PrependUDP(&b, &tunnel, 49152, 6081); st != OK {
		t.Fatal(st)
	}
	var in Info
	if st := Parse(b.Bytes(), &in); st != OK || !VerifyUDP(b.Bytes(), &in) || in.SrcPort != 49152 || in.DstPort != 6081 ||
		string(b.Bytes()[in.Payload:in.End]) != "a control datagram" || in.Dst != addr("10.20.0.101") || b.Head != headRoom-42 {
		t.Errorf("%v %+v", st, in)
	}
	b.Head = 41
	if was := b; PrependUDP(&b, &tunnel, 1, 2) != NoRoom || b != was {
		t.Error("headers were written outside the buffer")
	}
	if b = (Buf{Head: 100, Len: 0xffff - 41}); PrependUDP(&b, &tunnel, 1, 2) != BadLength {
		t.Error("a datagram longer than its length field can say")
	}
}

func TestATunnelNeedsAnIPv4Fabric(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.20.0.11"), netip.MustParseAddr("2001:db8::1")
	for _, c := range [][2]netip.Addr{{v6, v4}, {v4, v6}, {{}, v4}, {v4, {}}} {
		if _, err := NewEncapTarget(macB, macA, c[0], c[1]); err == nil {
			t.Errorf("a tunnel from %v to %v", c[1], c[0])
		}
	}
	if _, err := NewEncapTarget(macB, macA, netip.MustParseAddr("::ffff:10.20.0.1"), v4); err != nil {
		t.Error(err)
	}
}

func TestTunnelFlowOfNamesTheServersFlowWithoutTouchingTheFrame(t *testing.T) {
	tunnel := target(t)
	for name, f := range frames() {
		var in Info
		if Parse(f, &in); in.Proto != ProtoTCP && in.Proto != ProtoUDP {
			continue
		}
		b := frameBuf(f)
		Encapsulate(&b, &tunnel, 1)
		want := flowResult{l3: 42, l4: int(in.L4) + 28, st: OK}
		in.ReverseKey(&want.k)
		if got := tunnelFlow(b.Bytes()); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := tunnelFlow(make([]byte, 42)); got.st != Truncated {
		t.Error(got.st)
	}
	if got := tunnelFlow(make([]byte, 43)); got.st != NotTunnel {
		t.Error(got.st)
	}
}
