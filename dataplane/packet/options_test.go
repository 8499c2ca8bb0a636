package packet

import (
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestOptionListsAreReadAsLinuxReadsThem(t *testing.T) {
	none := TCPOptions{WScale: NoWScale}
	for _, c := range []struct {
		what, list string
		want       TCPOptions
		sound      bool
	}{
		{"no options", "", none, true},
		{"a Linux client's SYN", "\x02\x04\x05\xb4\x04\x02\x08\x0a\x11\x22\x33\x44\x00\x00\x00\x00\x01\x03\x03\x07",
			TCPOptions{MSS: 1460, SACKPermitted: true, Timestamps: true, TSval: 0x11223344, WScale: 7}, true},
		{"a Windows client's SYN", "\x02\x04\x05\xb4\x01\x03\x03\x08\x01\x01\x04\x02",
			TCPOptions{MSS: 1460, SACKPermitted: true, WScale: 8}, true},
		{"a macOS client's SYN", "\x02\x04\x05\xb4\x01\x03\x03\x06\x01\x01\x08\x0a\x00\x00\x00\x05\x00\x00\x00\x00\x04\x02\x00\x00",
			TCPOptions{MSS: 1460, SACKPermitted: true, Timestamps: true, TSval: 5, WScale: 6}, true},
		{"timestamps at an odd offset", "\x01\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09\x00",
			TCPOptions{Timestamps: true, TSval: 7, TSecr: 9, WScale: NoWScale}, true},
		{"SACK blocks", "\x01\x01\x05\x0a\x00\x00\x00\x01\x00\x00\x00\x02", none, true},
		{"a window scale of zero", "\x03\x03\x00", TCPOptions{}, true},
		{"a window scale above 14", "\x03\x03\xff", TCPOptions{WScale: 14}, true},
		{"an MSS of zero", "\x02\x04\x00\x00", none, true},
		{"options after the end", "\x00\x02\x04\x05\xb4", none, true},
		{"a doubled MSS", "\x02\x04\x05\xb4\x02\x04\x02\x18", TCPOptions{MSS: 536, WScale: NoWScale}, true},
		{"MSS of a wrong size", "\x02\x03\x05\x03\x03\x02", TCPOptions{WScale: 2}, true},
		{"timestamps of a wrong size", "\x08\x06\x00\x00\x00\x01", none, true},
		{"SACK permitted of a wrong size", "\x04\x04\x00\x00", none, true},
		{"window scale of a wrong size", "\x03\x04\x07\x07", none, true},
		{"TCP Fast Open", "\x22\x0a12345678", TCPOptions{WScale: NoWScale, TFO: true}, true},
		{"experimental TCP Fast Open", "\xfe\x04\xf9\x89", TCPOptions{WScale: NoWScale, TFO: true}, true},
		{"another experiment", "\xfe\x04\xe2\xd4", none, true},
		{"an experiment without a name", "\xfe\x02", none, true},
		{"Multipath TCP", "\x1e\x04\x01\x00", TCPOptions{WScale: NoWScale, MPTCP: true}, true},
		{"an MD5 signature", "\x13\x12" + strings.Repeat("s", 16), TCPOptions{WScale: NoWScale, MD5: true}, true},
		{"authentication", "\x1d\x10" + strings.Repeat("a", 14), TCPOptions{WScale: NoWScale, AO: true}, true},
		{"an unknown option", "\xc8\x05abc\x02\x04\x05\xb4", TCPOptions{MSS: 1460, WScale: NoWScale}, true},
		{"a kind without a length", "\x02\x04\x05\xb4\x08", TCPOptions{MSS: 1460, WScale: NoWScale}, false},
		{"a length of zero", "\x02\x00\x05\xb4", none, false},
		{"a length of one", "\xc8\x01\x02\x04\x05\xb4", none, false},
		{"a length beyond the list", "\x08\x0a\x00\x00", none, false},
		{"nothing but padding", strings.Repeat("\x01", 40), none, true},
		{"more than a header can hold", strings.Repeat("\xc8\xff"+strings.Repeat("x", 253), 1000), none, true},
	} {
		var got TCPOptions
		if sound := ParseTCPOptions([]byte(c.list), &got); sound != c.sound || got != c.want {
			t.Errorf("%s: %v %+v, want %v %+v", c.what, sound, got, c.sound, c.want)
		}
	}
}

// everyOptions calls f with each combination of what we send.
func everyOptions(f func(o TCPOptions)) {
	for bits := range 16 {
		o := TCPOptions{WScale: NoWScale, SACKPermitted: bits&1 != 0}
		if bits&2 != 0 {
			o.Timestamps, o.TSval, o.TSecr = true, 0x01020304, 0xa0b0c0d0
		}
		if bits&4 != 0 {
			o.MSS = 1432
		}
		if bits&8 != 0 {
			o.WScale = 9
		}
		f(o)
	}
}

func TestWrittenOptionsReadBackTheSameAlsoByGVisor(t *testing.T) {
	everyOptions(func(o TCPOptions) {
		var b [40]byte
		n := o.Put(b[:])
		var got TCPOptions
		if !ParseTCPOptions(b[:n], &got) || got != o || n != o.Size() || n%4 != 0 {
			t.Errorf("%d bytes of %+v read back as %+v", n, o, got)
		}
		theirs := header.ParseSynOptions(b[:n], true)
		mss, ws := int(o.MSS), int(o.WScale)
		if mss == 0 {
			mss = header.TCPDefaultMSS
		}
		if o.WScale == NoWScale {
			ws = -1
		}
		if int(theirs.MSS) != mss || theirs.WS != ws || theirs.TS != o.Timestamps || theirs.TSVal != o.TSval ||
			theirs.TSEcr != o.TSecr || theirs.SACKPermitted != o.SACKPermitted {
			t.Errorf("gVisor reads %+v as %+v", o, theirs)
		}
	})
}
