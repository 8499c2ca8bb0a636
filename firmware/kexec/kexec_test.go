package kexec

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/image/uki"
)

func file(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unified makes a unified image, of contents that no kernel takes.
func unified(t *testing.T, line string) string {
	t.Helper()
	dir := t.TempDir()
	i := uki.Image{Stub: "/usr/lib/systemd/boot/efi/linuxx64.efi.stub", OSRelease: "ID=weir\n", CommandLine: line, Uname: "6.1.0",
		Kernel: file(t, filepath.Join(dir, "k"), bytes.Repeat([]byte("k"), 70_001)), Initramfs: file(t, filepath.Join(dir, "i"), bytes.Repeat([]byte("i"), 123_457))}
	path := filepath.Join(dir, "weir.efi")
	if err := i.Write(dir, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func sumOf(t *testing.T, path string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

func TestKernelInitramfsAndCommandLineAreTakenOutWhole(t *testing.T) {
	path, dir := unified(t, "console=ttyS0 quiet"), t.TempDir()
	line, err := unpack(path, sumOf(t, path), dir)
	if err != nil || line != "console=ttyS0 quiet" {
		t.Fatalf("%q, %v", line, err)
	}
	for name, want := range map[string][]byte{".linux": bytes.Repeat([]byte("k"), 70_001), ".initrd": bytes.Repeat([]byte("i"), 123_457)} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := unpack(path, [32]byte{}, t.TempDir()); err != nil {
		t.Errorf("an image whose hash is not known: %v", err)
	}
}

func TestWhatCannotBeStartedIsRefusedAndLeavesNothing(t *testing.T) {
	good := unified(t, "console=ttyS0")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	altered := bytes.Clone(text)
	altered[len(altered)-1] ^= 1
	stub, err := os.ReadFile("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		sum  [32]byte
		want string
	}{
		"altered":                 {file(t, filepath.Join(dir, "altered"), altered), sumOf(t, good), "not the image that was written"},
		"cut":                     {file(t, filepath.Join(dir, "cut"), text[:len(text)/2]), [32]byte{}, "no EFI program"},
		"text":                    {file(t, filepath.Join(dir, "text"), []byte("a kernel")), [32]byte{}, "no EFI program"},
		"empty":                   {file(t, filepath.Join(dir, "empty"), nil), [32]byte{}, "no EFI program"},
		"another program":         {file(t, filepath.Join(dir, "stub"), stub), [32]byte{}, "no section"},
		"not there":               {filepath.Join(dir, "none"), [32]byte{}, "no such file"},
		"too long a command line": {unified(t, strings.Repeat("a=b ", 600)), [32]byte{}, "command line is longer than the 2047 bytes"},
	} {
		temp := t.TempDir()
		err := Load(c.path, c.sum, "weir.kexec=b", temp)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", name, left, err)
		}
	}
}
