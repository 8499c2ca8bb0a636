package trust_test

import (
	"os"
	"testing"

	"weir/firmware/release"
	"weir/firmware/rig"
)

// A node that has seen the repository before, and one that has not.
func TestEveryBundleThatIsNotAsItShouldBeIsRefusedWithItsReason(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	for _, c := range r.Refused() {
		t.Run(c.Name, func(t *testing.T) {
			old := newNode(t, r)
			if _, err := old.take(r.Bundle("0.1.0"), ""); err != nil {
				t.Fatal(err)
			}
			for _, n := range []*node{newNode(t, r), old} {
				_, err := n.take(c.Path, "")
				refused(t, err, c.Reason, c.Words)
			}
		})
	}
}

// What is refused leaves what a node remembers good: it still takes what it should.
func TestARefusedBundleKeepsNothingAway(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	for _, c := range r.Refused() {
		n := newNode(t, r)
		if _, err := n.take(r.Bundle("0.1.0"), ""); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(n.store.Path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.take(c.Path, "")
		refused(t, err, c.Reason)
		after, err := os.ReadFile(n.store.Path)
		if err != nil {
			t.Fatal(err)
		}
		switch c.Name {
		case "altered target", "below the floor", "for other machines":
			continue // its metadata is good and newer
		}
		if string(before) != string(after) {
			t.Errorf("%s: it is remembered", c.Name)
		}
	}
}

func TestADiskThatIsTooSmallIsToldInMiB(t *testing.T) {
	err := release.Fits(300<<20, 256<<20, "slot weir-b")
	refused(t, err, "no-room", "slot weir-b has room for 256.0 MiB, the update needs 300.0 MiB", "use a larger disk")
}
