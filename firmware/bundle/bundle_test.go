package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"weir/firmware/bundle"
	"weir/firmware/refusal"
	"weir/firmware/rig"
	"weir/firmware/trust"
)

const (
	stored  = "targets/0000000000000000000000000000000000000000000000000000000000000000.weir.efi"
	stored2 = "targets/1111111111111111111111111111111111111111111111111111111111111111.vmlinuz"
)

// entry is one of a tar.
type entry struct {
	tar.Header
	text string
}

func plain(name, text string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Format: tar.FormatUSTAR}, text}
}

func archive(t testing.TB, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		e.Size, e.Mode = int64(len(e.text)), 0o644
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(data []byte) (*bundle.Bundle, error) {
	return bundle.Open(bytes.NewReader(data), int64(len(data)), "x.bundle")
}

func TestWhatABundleHoldsIsReadBack(t *testing.T) {
	b, err := open(archive(t, plain("metadata/1.root.json", "root"), plain("metadata/timestamp.json", "time"), plain(stored, "weir")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Metadata(context.Background(), "timestamp.json", 4); err != nil || string(got) != "time" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := b.Metadata(context.Background(), "timestamp.json", 3); refusal.Of(err) != refusal.TooLarge {
		t.Errorf("more than the limit: %v", err)
	}
	if !b.Holds(strings.TrimPrefix(stored, "targets/")) || b.Holds("x") || len(b.Entries()) != 3 {
		t.Errorf("got %v", b.Entries())
	}
}

func TestNothingButABundleIsOpened(t *testing.T) {
	link := entry{tar.Header{Typeflag: tar.TypeSymlink, Name: "metadata/1.root.json", Linkname: "/etc/shadow", Format: tar.FormatUSTAR}, ""}
	pax := plain("metadata/1.root.json", "x")
	pax.Format, pax.PAXRecords = tar.FormatPAX, map[string]string{"WEIR.x": "y"}
	good := archive(t, plain("metadata/1.root.json", "root"), plain(stored, "weir"))
	for name, c := range map[string]struct {
		data   []byte
		reason refusal.Reason
		words  string
	}{
		"nothing":              {nil, refusal.Truncated, "ends in the middle"},
		"an empty tar":         {archive(t), refusal.Malformed, "is empty"},
		"no tar":               {bytes.Repeat([]byte("weir"), 1000), refusal.Malformed, "is not a bundle"},
		"a link":               {archive(t, link), refusal.Malformed, "not a plain file"},
		"extended headers":     {archive(t, pax), refusal.Malformed, "not a plain file"},
		"a path out of it":     {archive(t, plain("../../etc/passwd", "x")), refusal.Malformed, "which no bundle has"},
		"an absolute path":     {archive(t, plain("/metadata/1.root.json", "x")), refusal.Malformed, "which no bundle has"},
		"another file":         {archive(t, plain("metadata/root.json", "x")), refusal.Malformed, "which no bundle has"},
		"a file twice":         {archive(t, plain(stored, "x"), plain(stored, "y")), refusal.Malformed, "twice"},
		"metadata at the end":  {archive(t, plain(stored, "x"), plain(stored2, "x"), plain("metadata/1.root.json", "x")), refusal.Malformed, "behind the files"},
		"more behind its end":  {append(bytes.Clone(good), make([]byte, 512)...), refusal.Malformed, "something behind its end"},
		"large metadata":       {archive(t, plain("metadata/1.root.json", strings.Repeat("x", trust.MaxTargets+1))), refusal.TooLarge, "at most"},
		"without its end":      {good[:len(good)-1024], refusal.Truncated, "copy it again"},
		"half of its end":      {good[:len(good)-512], refusal.Truncated, "copy it again"},
		"the middle of a file": {good[:1024+512+2], refusal.Truncated, "copy it again"},
		"the middle of a name": {good[:1024+20], refusal.Truncated, "copy it again"},
	} {
		_, err := open(c.data)
		if refusal.Of(err) != c.reason || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: want (%s) with %q, got %v", name, c.reason, c.words, err)
		}
	}
	if _, err := bundle.Open(bytes.NewReader(nil), bundle.MaxSize+1, "x"); refusal.Of(err) != refusal.TooLarge {
		t.Errorf("too large: %v", err)
	}
	if _, err := bundle.OpenFile(t.TempDir()); refusal.Of(err) != refusal.Malformed {
		t.Errorf("a folder: %v", err)
	}
}

func TestABundleCutAnywhereIsRefused(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	whole, err := os.ReadFile(r.Bundle(""))
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		if _, err := open(whole[:n]); refusal.Of(err) == "" {
			t.Fatalf("%d of %d bytes are a bundle: %v", n, len(whole), err)
		}
	}
}

func TestEqualRepositoriesMakeEqualBundlesAndMakeKeepsWhatIsGood(t *testing.T) {
	r := rig.New(t)
	r.Release("0.1.0", "")
	var made [2][]byte
	for i := range made {
		m, err := bundle.Make(context.Background(), r.Repository.Dir, "", t.TempDir(), rig.Now, nil)
		if err != nil || !m.Changed {
			t.Fatalf("%+v, %v", m, err)
		}
		if made[i], err = os.ReadFile(m.Path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("two bundles of one repository are different")
	}
	path := r.Bundle("")
	for _, damage := range []func() error{
		func() error { return nil },
		func() error { return os.Truncate(path, 100) },
		func() error { return os.WriteFile(path, archive(t, plain("metadata/1.root.json", "x")), 0o644) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		r.Bundle("")
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, made[0]) {
			t.Errorf("%v: %d bytes", err, len(got))
		}
	}
	if m, err := bundle.Make(context.Background(), r.Repository.Dir, "", r.Dir, rig.Now, nil); err != nil || m.Changed {
		t.Errorf("it was made again: %+v, %v", m, err)
	}
}

// Whatever the bytes are: they are a bundle whose every file can be read, or refused.
func FuzzAnyBytesAreABundleOrRefused(f *testing.F) {
	good := archive(f, plain("metadata/1.root.json", "root"), plain("metadata/timestamp.json", "t"), plain(stored, "weir"))
	f.Add(good)
	f.Add(good[:700])
	f.Add(archive(f))
	f.Add([]byte("weir"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := open(data)
		if err != nil {
			if refusal.Of(err) == "" {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		var total int64
		for _, e := range b.Entries() {
			total += e.Size
			if name, found := strings.CutPrefix(e.Name, "targets/"); found {
				in, err := b.Target(context.Background(), name)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, in); err != nil || n != e.Size {
					t.Fatalf("%s: %d of %d bytes, %v", e.Name, n, e.Size, err)
				}
			}
		}
		if total > int64(len(data)) {
			t.Fatalf("%d bytes of files in %d", total, len(data))
		}
	})
}
