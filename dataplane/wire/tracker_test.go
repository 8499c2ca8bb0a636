package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
)

var testKey = Key{K0: 0x0706050403020100, K1: 0x0f0e0d0c0b0a0908}

// sample is a tracker message with a value of its own in every field.
func sample(typ uint8) Tracker {
	return Tracker{
		Header: Header{Type: typ, Worker: 2, Role: RoleServer, Sender: 0x0304, Length: TrackerSize,
			Boot: 0x05060708090a0b0c, Seq: 0x0d0e0f1011121314, Epoch: 0x15161718, KeyID: 0x191a1b1c},
		Key: flow.MakeKey(netip.MustParseAddrPort("198.51.100.10:40000"),
			netip.MustParseAddrPort("203.0.113.10:80"), 6),
		ClientISN: 0x21222324, ServerISN: 0x25262728, TSval: 0x292a2b2c, TSecr: 0x2d2e2f30,
		Seq: 0x31323334, Ack: 0x35363738, MSS: 0x393a, Window: 0x3b3c, WScale: 0x3d, Options: 0x3e,
		TCPFlags: 0x3f, Offer: 0x40, TTL: 0x41, Reason: 0x42, Server: 0x4344, Ingress: 0x4546,
		Primary: 0x4748, Secondary: 0x494a, Payload: 0x4b4c,
	}
}

// sealed is the sample message of a type on the wire.
func sealed(typ uint8) []byte {
	d := make([]byte, TrackerSize)
	m := sample(typ)
	PutTracker(d, &m, testKey)
	return d
}

func TestATrackerMessageStandsOnTheWireAsDocumented(t *testing.T) {
	d := sealed(MsgOffer)
	want := []byte{
		1, 6, 3, 4, 2, 1, 0, 128, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
		0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c,
	}
	if !bytes.Equal(d[:32], want) {
		t.Errorf("header %x", d[:32])
	}
	key := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x0a" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x0a" + "\x9c\x40\x00\x50\x06\x00\x00\x00"
	if string(d[KeyOffset:KeyOffset+flow.KeySize]) != key {
		t.Errorf("key %x", d[KeyOffset:KeyOffset+flow.KeySize])
	}
	// The sample numbers the bytes of the body upwards, in the order of the layout.
	for i := 80; i < 124; i++ {
		if d[i] != byte(0x21+i-80) {
			t.Errorf("byte %d is %#x", i, d[i])
		}
	}
	if binary.BigEndian.Uint32(d[124:]) != 0 {
		t.Errorf("reserved bytes %x", d[124:])
	}
}

func TestEveryTypeOfTrackerMessageReadsBackTheSame(t *testing.T) {
	for typ := uint8(1); typ <= msgLast; typ++ {
		var got Tracker
		if err := GetTracker(sealed(typ), &got, testKey); err != nil || got != sample(typ) {
			t.Errorf("type %d: %v %+v", typ, err, got)
		}
	}
}

func TestAnyFlippedBitOfAControlDatagramIsRefused(t *testing.T) {
	d := sealed(MsgSyn)
	for bit := range len(d) * 8 {
		c := bytes.Clone(d)
		c[bit/8] ^= 1 << (bit % 8)
		var m Tracker
		if GetTracker(c, &m, testKey) == nil {
			t.Errorf("bit %d of byte %d is not seen", bit%8, bit/8)
		}
	}
}

func TestWhatIsWrongWithAControlDatagramIsNamed(t *testing.T) {
	other := sample(MsgSyn)
	long := make([]byte, TrackerSize+8)
	Seal(long, &other.Header, testKey)
	short := make([]byte, HeaderSize)
	Seal(short, &other.Header, testKey)
	for _, c := range []struct {
		what string
		d    []byte
		key  Key
		want error
	}{
		{"nothing wrong", sealed(MsgSyn), testKey, nil},
		{"no bytes", nil, testKey, ErrShort},
		{"half a header", sealed(MsgSyn)[:39], testKey, ErrShort},
		{"another version", append([]byte{2}, sealed(MsgSyn)[1:]...), testKey, ErrVersion},
		{"a byte less", sealed(MsgSyn)[:TrackerSize-1], testKey, ErrLength},
		{"a byte more", append(sealed(MsgSyn), 0), testKey, ErrLength},
		{"a stranger's key", sealed(MsgSyn), Key{1, 2}, ErrTag},
		{"type 0", sealed(0), testKey, ErrTracker},
		{"a type of nobody", sealed(msgLast + 1), testKey, ErrTracker},
		{"a sealed header alone", short, testKey, ErrTracker},
		{"a sealed datagram of another size", long, testKey, ErrTracker},
	} {
		var m Tracker
		if err := GetTracker(c.d, &m, c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestTrackerMessagesCostNoAllocation(t *testing.T) {
	d := make([]byte, TrackerSize)
	m := sample(MsgSyn)
	if n := testing.AllocsPerRun(100, func() {
		PutTracker(d, &m, testKey)
		if GetTracker(d, &m, testKey) != nil {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPutTracker(b *testing.B) {
	d := make([]byte, TrackerSize)
	m := sample(MsgSyn)
	for b.Loop() {
		PutTracker(d, &m, testKey)
	}
}

func BenchmarkGetTracker(b *testing.B) {
	good := sealed(MsgSyn)
	d := make([]byte, TrackerSize)
	var m Tracker
	for b.Loop() {
		copy(d, good) // opening clears the tag
		if err := GetTracker(d, &m, testKey); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzGetTracker opens any bytes as they are, which must be refused unless they
// are ours, and once more as an insider would have sealed them: what is accepted
// then writes back to the same bytes, reserved ones excepted.
func FuzzGetTracker(f *testing.F) {
	for typ := range uint8(msgLast + 2) {
		d := sealed(typ)
		f.Add(d)
		f.Add(d[:TrackerSize-int(typ)])
		d = bytes.Clone(d)
		d[typ] ^= 0xff
		f.Add(d)
	}
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xff}, 2*TrackerSize))
	f.Fuzz(func(t *testing.T, d []byte) {
		checkTracker(t, bytes.Clone(d))
		if len(d) < HeaderSize || len(d) > 0xffff {
			return
		}
		d = bytes.Clone(d)
		Seal(d, &Header{Type: d[1], Sender: binary.BigEndian.Uint16(d[2:]), Worker: d[4], Role: d[5],
			Boot: binary.BigEndian.Uint64(d[8:]), Seq: binary.BigEndian.Uint64(d[16:]),
			Epoch: binary.BigEndian.Uint32(d[24:]), KeyID: binary.BigEndian.Uint32(d[28:])}, testKey)
		if !checkTracker(t, d) && len(d) == TrackerSize && d[1] >= 1 && d[1] <= msgLast {
			t.Fatalf("a sealed message is refused: %x", d)
		}
	})
}

// checkTracker opens d and reports whether it was accepted.
func checkTracker(t *testing.T, d []byte) bool {
	var m, again Tracker
	if GetTracker(d, &m, testKey) != nil {
		return false
	}
	out := make([]byte, TrackerSize)
	PutTracker(out, &m, testKey)
	clear(d[KeyOffset+37 : KeyOffset+flow.KeySize])
	clear(d[124:])
	if !bytes.Equal(out[:32], d[:32]) || !bytes.Equal(out[HeaderSize:], d[HeaderSize:]) {
		t.Fatalf("%+v writes back as\n%x, was\n%x", m, out, d)
	}
	if err := GetTracker(out, &again, testKey); err != nil || again != m {
		t.Fatalf("%v: %+v read back as %+v", err, m, again)
	}
	return true
}
