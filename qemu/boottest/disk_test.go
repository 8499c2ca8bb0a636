package boottest

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"weir/qemu/vm"
)

const (
	mib = 1 << 20

	diskSize  = 96 * mib // of a state disk
	partStart = 1 * mib  // its partition
	partSize  = diskSize - 2*mib

	marker = "WEIR STATE DISK\n"
)

// stateDisk makes a disk with a state partition that holds the files.
func stateDisk(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.img")
	if err := vm.StateDisk(path, diskSize/mib, directory(t, files)); err != nil {
		t.Fatal(err)
	}
	return path
}

// directory holds the files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// emptyDisk makes a disk of zeros.
func emptyDisk(t *testing.T, name string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return path
}

// occupy fills the state partition with one file, the blocks reserved for root
// included.
func occupy(t *testing.T, path string) {
	t.Helper()
	part := extract(t, path)
	var blocks, size int64
	for _, line := range strings.Split(command(t, "dumpe2fs", "-h", part), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "Free blocks":
			fmt.Sscan(value, &blocks)
		case "Block size":
			fmt.Sscan(value, &size)
		}
	}
	if blocks == 0 || size == 0 {
		t.Fatal("dumpe2fs tells nothing of free blocks")
	}
	// The extent tree of the file takes a block or two by itself.
	ballast := filepath.Join(t.TempDir(), "ballast")
	if err := os.WriteFile(ballast, []byte(strings.Repeat("x", int((blocks-2)*size))), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "debugfs", "-w", "-R", "write "+ballast+" ballast", part)
	implant(t, part, path)
}

// extract copies the partition out of a disk.
func extract(t *testing.T, disk string) string {
	t.Helper()
	part := filepath.Join(t.TempDir(), "partition.img")
	copyRange(t, part, disk, 0, partStart)
	return part
}

// implant writes a partition back to its disk.
func implant(t *testing.T, part, disk string) {
	t.Helper()
	copyRange(t, disk, part, partStart, 0)
}

func copyRange(t *testing.T, to, from string, toAt, fromAt int64) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.NewOffsetWriter(out, toAt), io.NewSectionReader(in, fromAt, partSize), partSize); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// fileOn is the text of a file on a disk's state partition, and whether it is there.
func fileOn(t *testing.T, disk, name string) (string, bool) {
	t.Helper()
	return fileIn(t, extract(t, disk), name)
}

func fileIn(t *testing.T, part, name string) (string, bool) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dump")
	command(t, "debugfs", "-R", fmt.Sprintf("dump /%s %s", name, out), part)
	text, err := os.ReadFile(out)
	if os.IsNotExist(err) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), true
}

// namesOn lists a directory of a disk's state partition.
func namesOn(t *testing.T, disk, dir string) []string {
	t.Helper()
	var names []string
	for _, line := range strings.Split(command(t, "debugfs", "-R", "ls -p /"+dir, extract(t, disk)), "\n") {
		if f := strings.Split(line, "/"); len(f) > 5 && f[5] != "." && f[5] != ".." {
			names = append(names, f[5])
		}
	}
	return names
}

// noise makes a disk of random bytes.
func noise(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	content := make([]byte, 8*mib)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// write puts text at a byte of a disk.
func write(t *testing.T, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// digest tells whether a disk is still the same to the byte.
func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// command runs a program and returns what it printed.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// diskImage is a copy of the image's disk whose state partition has been made
// already, with the files.
func diskImage(t *testing.T, files map[string]string) string {
	t.Helper()
	return diskWithState(t, copyOf(t, image("disk.img")), files)
}

// diskWithState makes the state partition of such a disk.
func diskWithState(t *testing.T, path string, files map[string]string) string {
	t.Helper()
	place := statePlace.FindStringSubmatch(command(t, "sgdisk", "-p", path))
	if place == nil {
		t.Fatalf("the disk image has no partition %s:\n%s", vm.StateLabel, command(t, "sgdisk", "-p", path))
	}
	first, _ := strconv.ParseInt(place[1], 10, 64)
	last, _ := strconv.ParseInt(place[2], 10, 64)
	command(t, "mke2fs", "-q", "-F", "-t", "ext4", "-d", directory(t, files),
		"-E", fmt.Sprintf("offset=%d", first*512), path, fmt.Sprintf("%dk", (last-first+1)/2))
	return path
}

// statePlace is its row in sgdisk's table: number, first and last sector.
var statePlace = regexp.MustCompile(`(?m)^ +\d+ +(\d+) +(\d+) .* ` + vm.StateLabel + `$`)
