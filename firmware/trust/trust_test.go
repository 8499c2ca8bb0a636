package trust_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/firmware/bundle"
	"weir/firmware/refusal"
	"weir/firmware/release"
	"weir/firmware/rig"
	"weir/firmware/trust"
)

// node is one that takes updates from bundles.
type node struct {
	t     *testing.T
	root  []byte
	store *trust.Store
	now   time.Time
}

func newNode(t *testing.T, r *rig.Rig) *node {
	return &node{t: t, root: r.Root(), store: &trust.Store{Path: filepath.Join(t.TempDir(), "firmware", "trusted.json")}, now: rig.Now}
}

// take does all that a node does before it writes: verify, select, read.
func (n *node) take(path, version string) (r release.Release, err error) {
	n.t.Helper()
	b, err := bundle.OpenFile(path)
	if err != nil {
		return r, err
	}
	defer b.Close()
	return n.from(b, version)
}

func (n *node) from(src trust.Source, version string) (r release.Release, err error) {
	n.t.Helper()
	c, err := trust.Verifier{Root: n.root, Store: n.store, Now: n.now}.Refresh(context.Background(), src)
	if err != nil {
		return r, err
	}
	if r, err = c.Select(src, version, release.Compatible); err != nil {
		return r, err
	}
	return r, trust.CheckFiles(context.Background(), src, r, nil)
}

// refused wants a refusal with a reason and words.
func refused(t *testing.T, err error, reason refusal.Reason, words ...string) {
	t.Helper()
	if refusal.Of(err) != reason {
		t.Fatalf("want a refusal (%s), got: %v", reason, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
}

func TestABundleIsTakenByANodeThatTrustsItsKeys(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	n := newNode(t, r)
	got, err := n.take(r.Bundle("0.1.0"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "0.1.0" || len(got.Files) != 4 || got.Compatible != release.Compatible {
		t.Errorf("got %+v", got)
	}
	if got, err = n.take(r.Bundle("0.1.0"), "0.1.0"); err != nil || got.Version != "0.1.0" {
		t.Errorf("a second time: %v", err)
	}
}

func TestANodeWithoutATrustedRootTakesNothing(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	n := newNode(t, r)
	n.root = nil
	_, err := n.take(r.Bundle(""), "")
	refused(t, err, refusal.NoRoot, "make image TRUST=")
	n.root = []byte("{}")
	_, err = n.take(r.Bundle(""), "")
	refused(t, err, refusal.NoRoot)
}

func TestAnUpdateOfStrangersIsNotTaken(t *testing.T) {
	r, other := rig.New(t), rig.New(t)
	other.Release("0.1.0", "")
	_, err := newNode(t, r).take(other.Bundle(""), "")
	refused(t, err, refusal.TooFewKeys, "timestamp.json", "signed by 0 of the trusted keys, and needs 1")
}

func TestExpiredMetadataIsRefusedWithItsTimeAndTheClock(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	path := r.Bundle("")
	n := newNode(t, r)
	n.now = rig.Now.Add(29 * 24 * time.Hour)
	if _, err := n.take(path, ""); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{n, newNode(t, r)} { // one has seen it before
		n.now = rig.Now.Add(31 * 24 * time.Hour)
		_, err := n.take(path, "")
		refused(t, err, refusal.Expired, "timestamp metadata", "2026-12-01T12:00:00Z", "weir-bundle publish", "which says 2026-12-02T12:00:00Z")
		n.now = rig.Now.Add(4000 * 24 * time.Hour)
		_, err = n.take(path, "")
		refused(t, err, refusal.Expired, "root metadata", "weir-bundle root next")
	}
}

func TestAClockThatWasWrongDoesNoLastingHarm(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	n := newNode(t, r)
	n.now = rig.Now.Add(1000 * 24 * time.Hour)
	_, err := n.take(r.Bundle(""), "")
	refused(t, err, refusal.Expired)
	n.now = rig.Now
	if _, err := n.take(r.Bundle(""), ""); err != nil {
		t.Error(err)
	}
}

func TestADowngradeBelowTheFloorIsRefused(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	r.Release("0.2.0", "")
	r.Release("0.3.0", "0.2.0")
	n := newNode(t, r)
	_, err := n.take(r.Bundle("0.2.0"), "")
	if err != nil {
		t.Errorf("at the floor: %v", err)
	}
	src, err := trust.OpenFolder(r.Repository.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	_, err = n.from(src, "0.1.0")
	refused(t, err, refusal.BelowFloor, "version 0.1.0", "below 0.2.0", "take version 0.2.0 or a newer one")
	if got, err := n.from(src, ""); err != nil || got.Version != "0.3.0" {
		t.Errorf("the newest: got %v, %v", got.Version, err)
	}
}

func TestAFloorIsRememberedWhenTheSignersForgetIt(t *testing.T) {
	r := rig.New(t)
	r.Release("0.3.0", "0.2.0")
	n := newNode(t, r)
	if _, err := n.take(r.Bundle(""), ""); err != nil {
		t.Fatal(err)
	}
	removed, err := r.Repository.Remove("0.3.0", rig.Now.Add(time.Hour*24*100))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Keys.Sign(removed); err != nil {
		t.Fatal(err)
	}
	r.Release("0.1.0", "")
	_, err = n.take(r.Bundle("0.1.0"), "")
	refused(t, err, refusal.BelowFloor)
}

func TestOlderMetadataThanSeenIsRefused(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	old := r.Bundle("0.1.0")
	r.Release("0.2.0", "")
	n := newNode(t, r)
	if _, err := n.take(r.Bundle("0.2.0"), ""); err != nil {
		t.Fatal(err)
	}
	_, err := n.take(old, "")
	refused(t, err, refusal.Stale, "timestamp.json", "weir-bundle make --version")
	// Back is possible with a bundle that knows of the present.
	if got, err := n.take(r.Bundle("0.1.0"), ""); err != nil || got.Version != "0.1.0" {
		t.Errorf("got %v, %v", got.Version, err)
	}
}

func TestAVersionThatIsNotThereIsNamedWithThoseThatAre(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	r.Release("0.2.0", "")
	n := newNode(t, r)
	_, err := n.take(r.Bundle("0.2.0"), "0.3.0")
	refused(t, err, refusal.Missing, `"0.3.0"`, "0.2.0, 0.1.0")
	_, err = n.take(r.Bundle("0.2.0"), "0.1.0")
	refused(t, err, refusal.Missing, "weir-bundle make --version 0.1.0")
}

func TestAStoreThatCannotBeReadIsSetAside(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	n := newNode(t, r)
	if err := os.MkdirAll(filepath.Dir(n.store.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `{"floor":"x"}`, `[]`, `{"roots":["!"]}`} {
		if err := os.WriteFile(n.store.Path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := n.take(r.Bundle(""), ""); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := os.Stat(n.store.Path + ".unreadable"); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		_ = os.Remove(n.store.Path + ".unreadable")
	}
	// Readable, but not signed by anybody: as good as nothing.
	if err := os.WriteFile(n.store.Path, []byte(`{"roots":["e30="],"timestamp":"e30=","snapshot":"bnVsbA==","targets":"e30="}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := n.take(r.Bundle(""), ""); err != nil {
		t.Error(err)
	}
}
