package trust_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/firmware/refusal"
	"weir/firmware/release"
	"weir/firmware/rig"
	"weir/firmware/trust"
)

// hostile gives other contents for one file of a repository.
type hostile struct {
	trust.Source
	name string
	data []byte
}

func (h hostile) Metadata(ctx context.Context, name string, limit int64) ([]byte, error) {
	if name != h.name {
		return h.Source.Metadata(ctx, name, limit)
	}
	return trust.ReadAll(strings.NewReader(string(h.data)), name, limit)
}

// Whatever a server gives in the place of a metadata file: it is what was signed, or
// refused.
func FuzzAnyMetadataIsSignedOrRefused(f *testing.F) {
	r := rig.New(f)
	r.Release("0.1.0", "")
	names := []string{"1.root.json", "2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"}
	for i, name := range names {
		text, err := os.ReadFile(filepath.Join(r.Repository.Dir, "metadata", name))
		if err != nil {
			text = []byte(`{"signed":{"_type":"root","version":2},"signatures":[]}`)
		}
		f.Add(i, text)
		f.Add(i, []byte(`{"signed":{"_type":"timestamp","meta":null},"signatures":null}`))
		f.Add(i, []byte("null"))
	}
	root := r.Root()
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		src, err := trust.OpenFolder(r.Repository.Dir)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		name := names[uint(which)%uint(len(names))]
		c, err := trust.Verifier{Root: root, Now: rig.Now}.Refresh(context.Background(), hostile{src, name, data})
		if err != nil {
			if refusal.Of(err) == "" {
				t.Fatalf("%s: no refusal: %v", name, err)
			}
			return
		}
		if len(c.Releases) != 1 || c.Releases[0].Version != "0.1.0" || c.Root != 1 {
			t.Fatalf("%s: accepted %+v", name, c)
		}
	})
}

// Whatever a node's state partition holds in the place of what it remembers: it
// takes what it should.
func FuzzAnyMemoryKeepsNoUpdateAway(f *testing.F) {
	r := rig.New(f)
	r.Release("0.1.0", "")
	store := &trust.Store{Path: filepath.Join(f.TempDir(), "trusted.json")}
	root := r.Root()
	refresh := func() (*trust.Catalog, error) {
		src, err := trust.OpenFolder(r.Repository.Dir)
		if err != nil {
			return nil, err
		}
		defer src.Close()
		return trust.Verifier{Root: root, Store: store, Now: rig.Now}.Refresh(context.Background(), src)
	}
	if _, err := refresh(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(store.Path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"floor":"0.0.1","roots":[null],"timestamp":"bnVsbA=="}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(store.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := refresh(); err != nil || len(c.Releases) != 1 {
			t.Fatalf("got %+v, %v", c, err)
		}
	})
}

func FuzzAnyFileIsTheSignedOneOrRefused(f *testing.F) {
	const text = "weir.efi 0.1.0"
	file := release.File{Name: release.Unified, Size: int64(len(text)), SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}
	f.Add([]byte(text), 3)
	f.Add([]byte(text+"."), 1)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, data []byte, chunk int) {
		in, err := trust.Open(context.Background(), given{data}, file)
		if err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 1+uint(chunk)%64)
		for {
			if _, err = in.Read(buffer); err != nil {
				break
			}
		}
		if good := string(data) == text; good && err != io.EOF || !good && refusal.Of(err) != refusal.Altered {
			t.Fatalf("%q: %v", data, err)
		}
	})
}

// given is a source with one target.
type given struct{ data []byte }

func (given) Metadata(context.Context, string, int64) ([]byte, error) { return nil, fs.ErrNotExist }
func (g given) Target(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(g.data))), nil
}
func (given) String() string { return "given" }
