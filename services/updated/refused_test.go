package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// That of a disk that is too small: in package upgrade.
func TestNothingIsWrittenOfABundleThatIsRefused(t *testing.T) {
	p := newPlace(t)
	p.turns(1)
	for _, c := range p.repo.Refused() {
		if err := os.RemoveAll(filepath.Join(p.dir, "state")); err != nil { // each comes first
			t.Fatal(err)
		}
		p.start()
		before := p.rec
		got, err := p.install("", c.Path, true)
		if err != nil || got.GetPhase() != "failed" || got.GetRefusal() != string(c.Reason) || !strings.Contains(got.GetError(), c.Words) {
			t.Errorf("%s: got %v, %v", c.Name, got, err)
		}
		if p.wrote != nil || p.rec != before {
			t.Errorf("%s: %d bytes were written, the record is %+v", c.Name, len(p.wrote), p.rec)
		}
		if p.restarts != 0 {
			t.Errorf("%s: the machine restarts", c.Name)
		}
	}
}
