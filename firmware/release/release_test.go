package release

import (
	"strings"
	"testing"

	"weir/firmware/refusal"
)

func TestVersionsAreSemanticOnesWithThreeNumbers(t *testing.T) {
	for _, good := range []string{"0.1.0", "1.2.3", "10.20.30-rc.1", "1.0.0-alpha-2"} {
		if err := CheckVersion(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "1", "1.2", "v1.2.3", "1.2.3+build", "01.2.3", "1.2.3/..", "../1.2.3", "1.2.3-" + strings.Repeat("x", 100), "1.2-3.4"} {
		if CheckVersion(bad) == nil {
			t.Errorf("%q was taken for a version", bad)
		}
	}
}

func TestVersionsAreOrderedByNumberAndPreReleasesComeFirst(t *testing.T) {
	ordered := []string{"0.9.0", "0.10.0", "1.0.0-rc.1", "1.0.0-rc.2", "1.0.0", "1.0.1"}
	for i := range ordered[1:] {
		if Compare(ordered[i], ordered[i+1]) >= 0 {
			t.Errorf("%s is not before %s", ordered[i], ordered[i+1])
		}
	}
}

func TestWhatDoesNotFitIsRefusedWithBothSizes(t *testing.T) {
	if err := Fits(10<<20, 10<<20, "slot weir-b"); err != nil {
		t.Error(err)
	}
	err := Fits(10<<20+1, 10<<20, "slot weir-b")
	if refusal.Of(err) != refusal.NoRoom || !strings.Contains(err.Error(), "slot weir-b has room for 10.0 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestFilesAreStoredByTheirContents(t *testing.T) {
	r := Release{Files: []File{{Name: Unified, Size: 3, SHA256: "ab"}, {Name: Kernel, Size: 4, SHA256: "cd"}}}
	f, found := r.File(Kernel)
	if !found || f.Stored() != "cd.vmlinuz" || r.Size() != 7 {
		t.Errorf("got %v, %v, %d bytes", f, found, r.Size())
	}
	if _, found := r.File(Manifest); found {
		t.Error("a file that is not there was found")
	}
}
