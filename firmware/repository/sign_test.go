package repository

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whatever somebody gives a holder to sign: it is a root or targets file, or an error.
func FuzzAnyBytesAreSignedOrNot(f *testing.F) {
	dir := f.TempDir()
	d := Development{Dir: filepath.Join(dir, "keys")}
	if _, err := d.Create(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		f.Fatal(err)
	}
	root, err := os.ReadFile(d.RootFile())
	if err != nil {
		f.Fatal(err)
	}
	by, err := LoadSigner(d.onlineKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(root)
	f.Add([]byte(`{"signed":{"_type":"targets","spec_version":"1.0.31","version":1,"expires":"2027-01-01T00:00:00Z","targets":{}},"signatures":[]}`))
	f.Add([]byte(`{"signed":{"_type":"snapshot"}}`))
	f.Add([]byte(`{"signed":null,"signatures":null}`))
	path := filepath.Join(dir, "staged.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if Sign(path, by) != nil {
			return
		}
		got, err := readSignable(path)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, s := range *got.signatures {
			if s.KeyID == by.ID {
				found++
			}
		}
		if found != 1 {
			t.Fatalf("%d signatures of the key", found)
		}
	})
}
