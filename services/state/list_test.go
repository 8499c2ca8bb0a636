package state

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestAListKeepsItsNewestEntries(t *testing.T) {
	dir := t.TempDir()
	db := openIn(t, dir)
	for i := range 10 {
		if _, err := db.Append(Boots, fmt.Append(nil, i), 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Replace(Boots, 9, []byte("nine")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := openIn(t, dir).List(Boots)
	if err != nil || len(list) != 3 || list[0].Number != 8 || string(list[1].Value) != "nine" || string(list[2].Value) != "9" {
		t.Errorf("%v, %v", list, err)
	}
}

// testdata/version1.db was written by a program that knew schema 1 only.
func TestADatabaseOfSchema1GetsTheLists(t *testing.T) {
	b, err := os.ReadFile("testdata/version1.db")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openIn(t, dir)
	if version, err := schema(db.bolt); version != 2 || err != nil {
		t.Errorf("schema %d, %v", version, err)
	}
	for key, want := range map[string]string{"drained": "2026-11-01T12:00:00Z", "last-good-configuration": "a snapshot"} {
		if v, err := db.Get(key); string(v) != want || err != nil {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
	if n, err := db.Append(Crashes, []byte("oops"), 3); n != 1 || err != nil {
		t.Errorf("entry %d, %v", n, err)
	}
}

func TestOfDatabasesThatWereSetAsideAFewAreKept(t *testing.T) {
	dir := t.TempDir()
	for range 6 {
		if err := os.WriteFile(filepath.Join(dir, FileName), make([]byte, 16384), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(dir, discard())
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := corrupt(t, dir); n > keepCorrupt {
		t.Errorf("%d are kept", n)
	}
}
