package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The sum below is that of a disk that another machine made at another time: the
// tools leave nothing of their own in it.
func TestTheSameContentsMakeTheSameDisk(t *testing.T) {
	dir := t.TempDir()
	unified := filepath.Join(dir, "weir.efi")
	if err := os.WriteFile(unified, bytes.Repeat([]byte("kernel and more "), 70_000), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "disk")
	if err := Make(dir, unified, path, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	const want = "9de51994e3cd52a44e6dd3eaedf7063fa83191edb8392ce04d1b3ed5fadc017d"
	if got := sum(t, path); got != want {
		t.Errorf("disk has the SHA-256 %s, want %s (new layout: change it here)", got, want)
	}
	inspect(t, path, unified)
}

func inspect(t *testing.T, path, unified string) {
	t.Helper()
	table := output(t, "/sbin/sgdisk", "--verify", "--print", path)
	for _, want := range []string{"No problems found", " " + SlotA + "\n", " " + SlotB + "\n", " " + State + "\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("partition table lacks %q:\n%s", want, table)
		}
	}
	copied := filepath.Join(t.TempDir(), "copy")
	output(t, "mcopy", "-i", path+"@@1M", "::"+BootPath, copied)
	if sum(t, copied) != sum(t, unified) {
		t.Error("slot A does not hold the unified image")
	}
	if out := output(t, "/sbin/fsck.vfat", "-n", slot(t, path, 1)); strings.Contains(out, "error") {
		t.Errorf("slot A: %s", out)
	}
	if out := output(t, "/sbin/fsck.vfat", "-n", slot(t, path, 1+SlotSize/mib)); strings.Contains(out, "error") {
		t.Errorf("slot B: %s", out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	state := make([]byte, StateSize)
	if _, err := f.ReadAt(state, mib+2*SlotSize); err != nil {
		t.Fatal(err)
	}
	if len(bytes.Trim(state, "\x00")) != 0 {
		t.Error("the state partition does not consist of zeros")
	}
}

// slot copies a slot's file system, which begins at so many MiB.
func slot(t *testing.T, path string, at int64) string {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(filepath.Join(t.TempDir(), "slot"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, io.NewSectionReader(from, at*mib, SlotSize)); err != nil {
		t.Fatal(err)
	}
	return to.Name()
}

func sum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C", "MTOOLS_SKIP_CHECK=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
