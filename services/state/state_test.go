package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openIn(t testing.TB, dir string) *DB {
	t.Helper()
	db, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// filled makes a database with a hundred records and closes it.
func filled(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db := openIn(t, dir)
	for i := range 100 {
		if err := db.Put("key"+string(rune('a'+i)), bytes.Repeat([]byte{byte(i)}, 500)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// corrupt is how many databases were set aside.
func corrupt(t *testing.T, dir string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, FileName+".corrupt-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestRecordsSurviveARestart(t *testing.T) {
	dir := filled(t)
	db := openIn(t, dir)
	if v, err := db.Get("keyb"); err != nil || len(v) != 500 || v[0] != 1 {
		t.Errorf("%v, %v", v, err)
	}
	if err := db.Delete("keyb"); err != nil {
		t.Error(err)
	}
	if v, err := db.Get("keyb"); v != nil || err != nil {
		t.Errorf("removed: %v, %v", v, err)
	}
	info, err := os.Stat(filepath.Join(dir, FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOneProgramOwnsTheDatabase(t *testing.T) {
	dir := t.TempDir()
	openIn(t, dir)
	if _, err := Open(dir, discard()); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("%v", err)
	}
	if n := corrupt(t, dir); n != 0 {
		t.Errorf("%d set aside", n)
	}
}

func TestACorruptDatabaseIsSetAside(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"truncated":        func(b []byte) []byte { return b[:2*os.Getpagesize()] },
		"torn page":        func(b []byte) []byte { return b[:len(b)/2+100] },
		"nothing of it":    func([]byte) []byte { return bytes.Repeat([]byte("weir"), 4096) },
		"zeros":            func(b []byte) []byte { return make([]byte, len(b)) },
		"meta pages":       func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b },
		"all but the meta": func(b []byte) []byte { clear(b[2*os.Getpagesize():]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, FileName)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			db := openIn(t, dir)
			if n := corrupt(t, dir); n != 1 {
				t.Errorf("%d set aside", n)
			}
			if _, err := os.Stat(db.SetAside()); err != nil {
				t.Error(err)
			}
			if v, err := db.Get("keyb"); v != nil || err != nil {
				t.Errorf("%v, %v", v, err)
			}
			if err := db.Put("keyb", []byte("new")); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever is damaged, opening ends with a database that works.
func TestNoDamageStopsTheProgram(t *testing.T) {
	dir := filled(t)
	good, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		bad := bytes.Clone(good)
		page := random.IntN(len(bad) / os.Getpagesize())
		for range 1 + random.IntN(200) {
			bad[page*os.Getpagesize()+random.IntN(os.Getpagesize())] = byte(random.Uint32())
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(dir, discard())
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Put("x", []byte("y")); err != nil && !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnOlderSchemaIsMigratedAndANewerOneIsLeftAlone(t *testing.T) {
	dir := filled(t)
	set := func(version uint64) {
		b, err := bbolt.Open(filepath.Join(dir, FileName), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := b.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(metaBucket).Put(schemaKey, binary.BigEndian.AppendUint64(nil, version))
		}); err != nil {
			t.Fatal(err)
		}
	}
	set(0)
	if v, err := openIn(t, dir).Get("keyb"); v == nil || err != nil {
		t.Errorf("migrated: %v, %v", v, err)
	}
}

func TestADatabaseOfANewerVersionIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	b, err := bbolt.Open(filepath.Join(dir, FileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		return meta.Put(schemaKey, binary.BigEndian.AppendUint64(nil, uint64(len(migrations)+1)))
	})
	if err = errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	db := openIn(t, dir)
	if !errors.Is(db.Failure(), ErrNewer) {
		t.Errorf("%v", db.Failure())
	}
	worksFromMemory(t, db)
	after, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil || !bytes.Equal(before, after) || corrupt(t, dir) != 0 {
		t.Errorf("it was touched: %v, %d set aside", err, corrupt(t, dir))
	}
}

func FuzzCheckPages(f *testing.F) {
	good, err := os.ReadFile(filepath.Join(filled(f), FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(make([]byte, 4*4096))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = checkPages(b) })
}
