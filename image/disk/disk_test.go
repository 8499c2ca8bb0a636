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
	c := Contents{Loader: filepath.Join(dir, "loader.efi"), Unified: filepath.Join(dir, "weir.efi"), When: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	for path, n := range map[string]int{c.Loader: 3_000, c.Unified: 70_000} {
		if err := os.WriteFile(path, bytes.Repeat([]byte("kernel and more "), n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "disk")
	if err := c.Make(dir, path); err != nil {
		t.Fatal(err)
	}
	const want = "a1ec9f8455df1148aae446f56c1f6ef3eb6910bd201a6e99967168b5d83efcd6"
	if got := sum(t, path); got != want {
		t.Errorf("disk has the SHA-256 %s, want %s (new layout: change it here)", got, want)
	}
	inspect(t, path, c)
}

func inspect(t *testing.T, path string, c Contents) {
	t.Helper()
	table := output(t, "/sbin/sgdisk", "--verify", "--print", path)
	for _, want := range []string{"No problems found", "   1 ", " " + Boot + "\n", " " + SlotA + "\n", " " + SlotB + "\n", " " + State + "\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("partition table lacks %q:\n%s", want, table)
		}
	}
	at := int64(1)
	for _, f := range []struct {
		label      string
		size       int64
		name, from string
	}{{Boot, BootSize, BootPath, c.Loader}, {SlotA, SlotSize, SlotPath, c.Unified}, {SlotB, SlotSize, "", ""}} {
		part := slot(t, path, at, f.size)
		if out := output(t, "/sbin/fsck.vfat", "-n", part); strings.Contains(out, "error") {
			t.Errorf("%s: %s", f.label, out)
		}
		if f.name != "" {
			copied := filepath.Join(t.TempDir(), "copy")
			output(t, "mcopy", "-i", part, "::"+f.name, copied)
			if sum(t, copied) != sum(t, f.from) {
				t.Errorf("%s does not hold what it should", f.label)
			}
		}
		at += f.size / mib
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	state := make([]byte, StateSize)
	if _, err := f.ReadAt(state, mib+BootSize+2*SlotSize); err != nil {
		t.Fatal(err)
	}
	if len(bytes.Trim(state, "\x00")) != 0 {
		t.Error("the state partition does not consist of zeros")
	}
}

// slot copies a file system, which begins at so many MiB.
func slot(t *testing.T, path string, at, size int64) string {
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
	if _, err := io.Copy(to, io.NewSectionReader(from, at*mib, size)); err != nil {
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
