package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAStateDiskHasOneLabelledPartitionWithTheFiles(t *testing.T) {
	dir := t.TempDir()
	contents, path := filepath.Join(dir, "contents"), filepath.Join(dir, "state.img")
	if err := os.MkdirAll(filepath.Join(contents, "identity"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(contents, "identity", "node.key"), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := StateDisk(path, 32, contents); err != nil {
		t.Fatal(err)
	}
	table, err := exec.Command("sgdisk", "--info=1", path).CombinedOutput()
	if err != nil || !strings.Contains(string(table), "Partition name: '"+StateLabel+"'") {
		t.Errorf("%v: %s", err, table)
	}
	problems, err := exec.Command("sgdisk", "--verify", path).CombinedOutput()
	if err != nil || !strings.Contains(string(problems), "No problems found") {
		t.Errorf("%v: %s", err, problems)
	}
	partition := filepath.Join(dir, "partition")
	if out, err := exec.Command("dd", "if="+path, "of="+partition, "bs=1M", "skip=1", "count=30").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("e2fsck", "-fn", partition).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, err := exec.Command("debugfs", "-R", "cat identity/node.key", partition).Output()
	if err != nil || string(out) != "secret\n" {
		t.Errorf("the key reads %q: %v", out, err)
	}
}

func TestAnEmptyStateDiskIsMarkedAndOtherwiseZero(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.img")
	if err := EmptyStateDisk(path, 8); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 8<<20)
	copy(want, "WEIR STATE DISK\n")
	if !bytes.Equal(got, want) {
		t.Error("something else than the mark is on it")
	}
}
