package identity

import "testing"

func TestWhatMakersWriteWithNothingToSayIsEmpty(t *testing.T) {
	for text, want := range map[string]string{"Not Specified": "", " To Be Filled By O.E.M. ": "", "CZ1234": "CZ1234", "evil\x1b[2J": "evil[2J", "Default string": ""} {
		if got := said(text); got != want {
			t.Errorf("%q is taken as %q", text, got)
		}
	}
	for uuid, want := range map[string]bool{"00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true, "not settable": true, "0000000f-0000-0000-0000-000000000000": false} {
		if blank(uuid) != want {
			t.Errorf("%s blank: %v", uuid, !want)
		}
	}
}

func TestAnIdentityIsOneLineWithoutItsEmptyParts(t *testing.T) {
	if got := (Identity{Vendor: "QEMU", Product: "Standard PC", UUID: "1-2"}).String(); got != "QEMU Standard PC uuid 1-2" {
		t.Error(got)
	}
}
