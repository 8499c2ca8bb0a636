package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// disk is a small file system of its own.
func disk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("state", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatalf("mount a tmpfs (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves no room on a disk; the returned function makes room again.
func fill(t *testing.T, dir string) func() {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	f.Close()
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// worksFromMemory makes sure that a database whose disk does not take anything
// does all that it does otherwise, and says so.
func worksFromMemory(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Put("fresh", []byte("value")); err == nil {
		t.Error("a record that is not on the disk was written without an error")
	}
	if db.Failure() == nil {
		t.Error("no failure is told")
	}
	if v, err := db.Get("fresh"); string(v) != "value" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	for _, v := range []string{"one", "two", "three"} {
		if _, err := db.Append(Boots, []byte(v), 2); err == nil {
			t.Error("an entry that is not on the disk was written without an error")
		}
	}
	list, err := db.List(Boots)
	if err != nil || len(list) != 2 || string(list[0].Value) != "two" || string(list[1].Value) != "three" {
		t.Errorf("%v, %v", list, err)
	}
	if err := db.Delete("fresh"); err == nil {
		t.Error("a removal that is not on the disk was made without an error")
	}
	if v, err := db.Get("fresh"); v != nil || err != nil {
		t.Errorf("removed: %q, %v", v, err)
	}
}

func TestAReadOnlyDiskIsReadAndTheRestIsInMemory(t *testing.T) {
	dir := disk(t)
	db := openIn(t, dir)
	if err := db.Put("old", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	db, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if v, err := db.Get("old"); string(v) != "kept" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	worksFromMemory(t, db)
}

func TestAReadOnlyDiskWithoutADatabaseWillDo(t *testing.T) {
	dir := disk(t)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	db, err := Open(filepath.Join(dir, "state"), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	worksFromMemory(t, db)
}

func TestWhatAFullDiskDoesNotTakeIsWrittenWhenThereIsRoom(t *testing.T) {
	dir := disk(t)
	db, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	empty := fill(t, dir)
	big := bytes.Repeat([]byte("weir"), 1<<14) // does not fit the pages that the file has
	if err := db.Put("big", big); !errors.Is(err, syscall.ENOSPC) || db.Failure() == nil {
		t.Fatalf("%v, %v", err, db.Failure())
	}
	if v, err := db.Get("big"); !bytes.Equal(v, big) || err != nil {
		t.Errorf("%d bytes, %v", len(v), err)
	}
	empty()
	if err := db.Put("small", []byte("x")); err != nil || db.Failure() != nil {
		t.Errorf("%v, %v", err, db.Failure())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if v, err := db.Get("big"); !bytes.Equal(v, big) || err != nil {
		t.Errorf("after a restart: %d bytes, %v", len(v), err)
	}
}

func TestAFullDiskWithoutADatabaseIsLeftAsItWas(t *testing.T) {
	dir := disk(t)
	fill(t, dir)
	db, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	worksFromMemory(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, FileName+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
