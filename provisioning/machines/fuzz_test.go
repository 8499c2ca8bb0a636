package machines_test

import (
	"strings"
	"testing"

	"weir/provisioning/machines"
	"weir/provisioning/rig"
)

// Whatever a machine says of itself: it is refused, or in the one form in which it
// is compared and shown.
func FuzzHardware(f *testing.F) {
	f.Add("52:54:00:00:00:01", "ABC123", uuid)
	f.Add("52-54-00-00-00-01", " To be filled by O.E.M. ", strings.ToUpper(uuid))
	f.Add("", "\x1b[2J", "..")
	f.Fuzz(func(t *testing.T, mac, serial, id string) {
		h, err := machines.NewHardware([]string{mac}, serial, id)
		if err != nil {
			return
		}
		again, err := machines.NewHardware(h.MACs, h.Serial, h.UUID)
		if err != nil || again.String() != h.String() {
			t.Fatalf("%+v, %+v, %v", h, again, err)
		}
		for _, c := range h.String() {
			if c < ' ' || c > '~' {
				t.Fatalf("%q", h.String())
			}
		}
	})
}

// A request for a certificate comes from anybody.
func FuzzCSR(f *testing.F) {
	r := rig.New(f)
	f.Add(request(f, r.Stranger().Key))
	f.Add([]byte{0x30, 0x82})
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := machines.ParseCSR(b); err == nil && (len(k.Fingerprint) != 64 || k.Public == nil) {
			t.Fatalf("%+v", k)
		}
	})
}
