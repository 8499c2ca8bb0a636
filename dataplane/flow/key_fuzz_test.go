package flow

import (
	"bytes"
	"net/netip"
	"testing"
)

// FuzzKeyGet reads any 40 bytes as a key: it writes back the same bytes but for
// the padding, which stays zero in memory, and its names of itself agree.
func FuzzKeyGet(f *testing.F) {
	for _, s := range [][2]string{
		{"198.51.100.10:40000", "203.0.113.10:80"},
		{"[2001:db8:51::10]:65535", "[2001:db8:100::10]:1"},
		{"0.0.0.0:0", "255.255.255.255:65535"},
		{"198.51.100.10:40000", "[2001:db8:100::10]:80"},
	} {
		k := MakeKey(netip.MustParseAddrPort(s[0]), netip.MustParseAddrPort(s[1]), 6)
		b := make([]byte, KeySize)
		k.Put(b)
		f.Add(b)
	}
	f.Add(bytes.Repeat([]byte{0xff}, KeySize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < KeySize {
			return // callers give KeySize bytes
		}
		b = bytes.Clone(b[:KeySize])
		var k, again Key
		k.Get(b)
		out := bytes.Repeat([]byte{0xaa}, KeySize)
		k.Put(out)
		clear(b[37:])
		if !bytes.Equal(out, b) {
			t.Fatalf("%x writes back as %x", b, out)
		}
		if k.Words()[4]>>40 != 0 {
			t.Fatalf("padding of %x is %x", b, k.Words()[4])
		}
		again.Get(out)
		if !again.Equal(&k) || again != k || Hash(&again, Seed{1, 2}) != Hash(&k, Seed{1, 2}) {
			t.Fatalf("%v read back as %v", k, again)
		}
		if got := MakeKey(k.ClientAddr(), k.VIPAddr(), k.Proto); got != k {
			t.Fatalf("%v made again is %v", k, got)
		}
		if k.Is4() != netip.AddrFrom16(k.Client).Is4In6() {
			t.Fatalf("%v is IPv4: %v", k, k.Is4())
		}
	})
}
