package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/flow"
)

// addFrames seeds f with sound frames, and with each cut short and corrupted.
func addFrames(f *testing.F, dress func([]byte) []byte) {
	for _, b := range frames() {
		b = dress(b)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(b[:len(b)/2])
		for at := 12; at < len(b) && at < 80; at += 5 {
			c := bytes.Clone(b)
			c[at] ^= 0x55
			f.Add(c)
		}
	}
	f.Add(bytes.Repeat([]byte{0xff}, 100))
	f.Add(make([]byte, 100))
}

// same is a frame as it is.
func same(b []byte) []byte { return b }

// FuzzParse holds Parse to its promises for any bytes, and FlowOf to Parse.
func FuzzParse(f *testing.F) {
	addFrames(f, same)
	f.Add(change(frames()["IPv4 data"], withIPOptions(40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var in Info
		st := Parse(b, &in)
		if in.L4 != 0 && (in.L3 != EthernetSize || in.L4 < in.L3+IPv4Size || int(in.L3)+int(in.L3Len) > len(b)) {
			t.Fatalf("%v: network header outside the frame: %+v", st, in)
		}
		if in.Payload != 0 && (in.Payload < in.L4+UDPSize || in.End < in.Payload || in.End > in.L3+in.L3Len) {
			t.Fatalf("%v: transport header outside the packet: %+v", st, in)
		}
		if st >= NumStatus || st == OK && int(in.End) > len(b) {
			t.Fatalf("%v: %+v", st, in)
		}
		checkVerify(t, b, &in)
		checkFlow(t, b, &in, st)
		var o TCPOptions
		ParseTCPOptions(in.Options(b), &o)
		out := make([]byte, 128)
		if n := BuildRST(out, &in, macA, macB); n != 0 {
			var rst Info
			if got := Parse(out[:n], &rst); got != OK || !VerifyTCP(out[:n], &rst) || rst.TCPFlags&RST == 0 {
				t.Fatalf("%v: reset %+v of %+v", got, rst, in)
			}
		}
	})
}

// checkVerify compares VerifyTCP with gVisor, and calls the others.
func checkVerify(t *testing.T, b []byte, in *Info) {
	VerifyUDP(b, in)
	VerifyICMP(b, in)
	got := VerifyTCP(b, in)
	if in.Proto != ProtoTCP || in.End == 0 {
		if got {
			t.Fatalf("a TCP checksum was accepted of %+v", *in)
		}
		return
	}
	var ip header.Network = header.IPv4(b[in.L3:])
	if in.IsV6 {
		ip = header.IPv6(b[in.L3:])
	}
	s, p := header.TCP(b[in.L4:in.Payload]), b[in.Payload:in.End]
	if want := s.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(p, 0), uint16(len(p))); got != want {
		t.Fatalf("TCP checksum is right: %v, gVisor says %v", got, want)
	}
}

// checkFlow compares all flow readers with Parse.
func checkFlow(t *testing.T, b []byte, in *Info, st Status) {
	var k, want flow.Key
	TunnelFlowOf(b, &k)
	l3, l4, got := FlowOf(b, &k)
	isFlow := in.Proto == ProtoTCP || in.Proto == ProtoUDP
	if got == OK != (st == OK && isFlow) && len(b) <= 0xffff {
		t.Fatalf("FlowOf says %v, Parse %v", got, st)
	}
	if got != OK || st != OK {
		return
	}
	if in.Key(&want); k != want || l3 != int(in.L3) || l4 != int(in.L4) {
		t.Fatalf("FlowOf says %v at %d and %d, Parse %v", k, l3, l4, want)
	}
	ReverseFlowOf(b, &k)
	if in.ReverseKey(&want); k != want {
		t.Fatalf("ReverseFlowOf says %v, Parse %v", k, want)
	}
}

// FuzzTCPOptions reads any list; what was read can be written and read again.
func FuzzTCPOptions(f *testing.F) {
	everyOptions(func(o TCPOptions) {
		var b [40]byte
		f.Add(b[:o.Put(b[:])])
	})
	for _, s := range []string{"\x08", "\x08\x0a", "\xff\x00", "\x01\x01\x01\x03\x03\xff", "\x22\x0212", "\xfe\x04\xf9\x89", "\x1e\x02\x13\x02\x1d\x02"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		var o, again TCPOptions
		ParseTCPOptions(list, &o)
		if o.WScale > maxWScale && o.WScale != NoWScale {
			t.Fatalf("window scale %d", o.WScale)
		}
		o.TFO, o.MPTCP, o.MD5, o.AO = false, false, false, false
		var b [40]byte
		n := o.Put(b[:])
		if !ParseTCPOptions(b[:n], &again) || again != o || n != o.Size() {
			t.Fatalf("%+v read back as %+v", o, again)
		}
	})
}

// FuzzDecapsulate checks that an accepted frame holds exactly its inner packet,
// that a refused one is untouched, and that encapsulating again gives it back.
func FuzzDecapsulate(f *testing.F) {
	tunnel := target(f)
	addFrames(f, func(frame []byte) []byte {
		b := frameBuf(frame)
		Encapsulate(&b, &tunnel, 50001)
		return bytes.Clone(b.Bytes())
	})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 0xffff {
			return
		}
		keep = keep[:0]
		b := frameBuf(frame)
		was := b
		o, st := Decapsulate(&b)
		if st != OK {
			if b != was || !bytes.Equal(b.Bytes(), frame) {
				t.Fatalf("%v: the frame was changed", st)
			}
			return
		}
		inner := b.Bytes()[EthernetSize:]
		total := int(binary.BigEndian.Uint16(frame[16:]))
		if !bytes.Equal(inner, frame[TunnelSize:EthernetSize+total]) || int(b.Head)+int(b.Len)+int(b.Tail) != headRoom+len(frame)+tailRoom {
			t.Fatalf("inner packet or room: %+v of %x", b, frame)
		}
		var k flow.Key
		if _, _, got := ReverseFlowOf(b.Bytes(), &k); got == OK {
			if r := tunnelFlow(frame); r.st != OK || r.k != k {
				t.Fatalf("TunnelFlowOf says %v %v, want %v", r.st, r.k, k)
			}
		}
		if st := Encapsulate(&b, &tunnel, o.SrcPort); st != OK || !bytes.Equal(b.Bytes()[TunnelSize:], inner) {
			t.Fatalf("%v: encapsulated again it differs", st)
		}
	})
}

// FuzzEncapsulate checks that any bytes either stay, or come out as a frame
// that Decapsulate accepts when they were an IP packet.
func FuzzEncapsulate(f *testing.F) {
	tunnel := target(f)
	addFrames(f, same)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 0xffff {
			return
		}
		keep = keep[:0]
		var in Info
		sound := Parse(frame, &in) == OK && in.EtherType != EtherTypeARP && len(frame)+TunnelOverhead <= 0xffff
		b := frameBuf(frame)
		was := b
		st := Encapsulate(&b, &tunnel, 50001)
		if st != OK {
			if sound || b != was || !bytes.Equal(b.Bytes(), frame) {
				t.Fatalf("%v: refused or changed", st)
			}
			return
		}
		if int(b.Head)+int(b.Len)+int(b.Tail) != headRoom+len(frame)+tailRoom {
			t.Fatalf("room is miscounted: %+v", b)
		}
		if _, st := Decapsulate(&b); sound && (st != OK || !bytes.Equal(b.Bytes()[14:], frame[14:14+in.L3Len])) {
			t.Fatalf("%v: %x came out as %x", st, frame, b.Bytes())
		}
	})
}

// FuzzChecksum compares sums with gVisor's.
func FuzzChecksum(f *testing.F) {
	for n := range 40 {
		f.Add(bytes.Repeat([]byte{0xff}, n))
		f.Add(bytes.Repeat([]byte{0x80, 1, 0xfe}, n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := Checksum(b), ^checksum.Checksum(b, 0); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}
