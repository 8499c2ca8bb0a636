package secureboot

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const empty = "/usr/share/OVMF/OVMF_VARS_4M.fd" // of Debian's ovmf

func made(t testing.TB) Keys {
	t.Helper()
	k := Keys{Dir: filepath.Join(t.TempDir(), "keys")}
	if _, err := k.Create(time.Now()); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysAreMadeOnceAndForTheirOwnerOnly(t *testing.T) {
	k := made(t)
	before, err := k.Certificate(Database)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.Create(time.Now()); err != nil || again {
		t.Errorf("made again: %v, %v", again, err)
	}
	if after, err := k.Certificate(Database); err != nil || !bytes.Equal(before, after) {
		t.Errorf("another certificate: %v", err)
	}
	for _, name := range names {
		if info, err := os.Stat(k.path(name, "key")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if _, err := (Keys{Dir: t.TempDir()}).Certificate(Database); err == nil || !strings.Contains(err.Error(), "weir-bundle secureboot keys") {
		t.Errorf("no keys: %v", err)
	}
}

// That firmware reads it is tested with firmware, in qemu/boottest.
func TestTheThreeCertificatesStandInTheVariables(t *testing.T) {
	k := made(t)
	store, err := os.ReadFile(empty)
	if err != nil {
		t.Fatal(err)
	}
	enrolled, err := k.Enrol(store)
	if err != nil {
		t.Fatal(err)
	}
	if len(enrolled) != len(store) {
		t.Errorf("%d bytes, want %d", len(enrolled), len(store))
	}
	at := 0
	for _, name := range names {
		certificate, err := k.Certificate(name)
		if err != nil {
			t.Fatal(err)
		}
		next := bytes.Index(enrolled[at:], certificate)
		if next < 0 {
			t.Fatalf("%s is not behind byte %d", name, at)
		}
		at += next
	}
	if _, err := k.Enrol(enrolled); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("enrolled twice: %v", err)
	}
	small := bytes.Clone(store)
	small[72+16], small[72+17], small[72+18] = 0, 4, 0 // a store of 1 KiB
	if _, err := k.Enrol(small); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a small store: %v", err)
	}
}

func TestWhatIsNoProgramIsNotSigned(t *testing.T) {
	k := made(t)
	path := filepath.Join(t.TempDir(), "x.efi")
	if err := os.WriteFile(path, []byte("weir"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := k.Sign(path, path); err == nil || !strings.Contains(err.Error(), "sign "+path) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "weir" {
		t.Errorf("it was changed: %q, %v", text, err)
	}
}

func FuzzAnyBytesAreAnEmptyStoreOrRefused(f *testing.F) {
	store, err := os.ReadFile(empty)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(store[:4096])
	f.Add(store[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		start, end, err := variables(data)
		if err == nil && (start < 0 || start >= end || end > len(data)) {
			t.Fatalf("variables from %d to %d of %d", start, end, len(data))
		}
	})
}
