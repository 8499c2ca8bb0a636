package main

import (
	"bytes"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
)

func FuzzStrayReports(f *testing.F) {
	k := flow.MakeKey(netip.MustParseAddrPort("198.51.100.1:5"), netip.MustParseAddrPort("203.0.113.1:80"), 6)
	b := make([]byte, 56)
	k.Put(b)
	copy(b[40:], []byte{10, 20, 0, 11, 1, 0, 0, 0, 2, 0, 0, 0, 16})
	f.Add(b)
	f.Add(b[:52])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := decodeStray(b)
		if ok != (len(b) >= 53) {
			t.Fatalf("%d bytes are accepted: %v", len(b), ok)
		}
		if !ok {
			return
		}
		var again [40]byte
		s.Key.Put(again[:])
		if !bytes.Equal(again[:37], b[:37]) || !bytes.Equal(s.From.AsSlice(), b[40:44]) || s.Flags != b[52] {
			t.Errorf("% x became %+v", b, s)
		}
	})
}
