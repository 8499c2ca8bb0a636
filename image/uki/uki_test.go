package uki

import (
	"bytes"
	"debug/pe"
	"os"
	"path/filepath"
	"testing"
)

const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// write makes an image with a kernel of odd size, and returns its bytes.
func write(t *testing.T) (string, []byte) {
	t.Helper()
	dir := t.TempDir()
	kernel, initramfs, output := filepath.Join(dir, "kernel"), filepath.Join(dir, "initramfs"), filepath.Join(dir, "uki")
	for path, data := range map[string][]byte{kernel: bytes.Repeat([]byte("k"), 70_001), initramfs: bytes.Repeat([]byte("i"), 123_457)} {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	i := Image{Stub: stub, Kernel: kernel, Initramfs: initramfs, OSRelease: "ID=weir\n", CommandLine: "console=ttyS0", Uname: "6.1.0"}
	if err := i.Write(dir, output); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return output, data
}

func TestTheSectionsHoldWhatWasPutIn(t *testing.T) {
	path, _ := write(t)
	contents, err := Sections(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{".osrel": "ID=weir\n", ".cmdline": "console=ttyS0", ".uname": "6.1.0"} {
		if got := string(contents[name]); got != want {
			t.Errorf("section %s: got %q, want %q", name, got, want)
		}
	}
	if n := len(bytes.TrimLeft(contents[".linux"], "k")); n != 0 || len(contents[".linux"]) != 70_001 {
		t.Errorf("the kernel is not whole: %d bytes", len(contents[".linux"]))
	}
	if n := len(bytes.TrimLeft(contents[".initrd"], "i")); n != 0 || len(contents[".initrd"]) != 123_457 {
		t.Errorf("the initramfs is not whole: %d bytes", len(contents[".initrd"]))
	}
}

func TestSectionsDoNotOverlap(t *testing.T) {
	path, _ := write(t)
	f, err := pe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end := uint32(0)
	for _, s := range f.Sections {
		if s.VirtualAddress < end {
			t.Errorf("section %s at %#x begins before %#x", s.Name, s.VirtualAddress, end)
		}
		end = s.VirtualAddress + s.VirtualSize
	}
	if size := f.OptionalHeader.(*pe.OptionalHeader64).SizeOfImage; size < end {
		t.Errorf("the image is said to end at %#x, its sections at %#x", size, end)
	}
}

func TestTheSameContentsMakeTheSameUnifiedImage(t *testing.T) {
	path, one := write(t)
	_, two := write(t)
	if !bytes.Equal(one, two) {
		t.Error("two images of the same contents differ")
	}
	f, err := pe.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.TimeDateStamp != 0 || f.OptionalHeader.(*pe.OptionalHeader64).CheckSum != 0 {
		t.Error("the header still holds the time of the build")
	}
}
