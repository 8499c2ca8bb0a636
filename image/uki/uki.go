// Package uki puts kernel, initramfs and command line into one file that UEFI
// firmware starts: a unified kernel image (S-100).
//
// See https://uapi-group.org/specifications/specs/unified_kernel_image/.
package uki

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Image is what goes in.
type Image struct {
	Stub      string // path of systemd's linuxx64.efi.stub
	Kernel    string // path of the kernel
	Initramfs string // path of the compressed archive
	OSRelease string // text of an os-release file
	// CommandLine is what the kernel gets. The stub lets the firmware's own
	// arguments replace it, unless secure boot is on.
	CommandLine string
	Uname       string // the kernel's version, as uname -r says it
}

// Sections in the order in which they are placed. The kernel is last: it is the
// only one that the firmware's loader may want to grow.
var sections = []string{".osrel", ".uname", ".cmdline", ".initrd", ".linux"}

// Write writes the image, using a temporary folder below temp. Equal contents
// make equal files.
func (i Image) Write(temp, output string) error {
	temp, err := os.MkdirTemp(temp, "uki-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	files := map[string]string{".linux": i.Kernel, ".initrd": i.Initramfs}
	for name, text := range map[string]string{".osrel": i.OSRelease, ".uname": i.Uname, ".cmdline": i.CommandLine} {
		files[name] = filepath.Join(temp, name)
		if err := os.WriteFile(files[name], []byte(text), 0o644); err != nil {
			return err
		}
	}
	address, align, err := end(i.Stub)
	if err != nil {
		return err
	}
	var args []string
	for _, name := range sections {
		info, err := os.Stat(files[name])
		if err != nil {
			return err
		}
		args = append(args, "--add-section", name+"="+files[name], "--change-section-vma", fmt.Sprintf("%s=%#x", name, address))
		address = alignUp(address+uint64(info.Size()), align)
	}
	made := filepath.Join(temp, "image")
	c := exec.Command("objcopy", append(args, i.Stub, made)...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("objcopy: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := ClearTime(made); err != nil {
		return err
	}
	return os.Rename(made, output)
}

// end is the first free address behind the stub's sections, and what addresses
// of sections are multiples of.
func end(stub string) (address, align uint64, err error) {
	f, err := pe.Open(stub)
	if err != nil {
		return 0, 0, fmt.Errorf("EFI stub %s: %w", stub, err)
	}
	defer f.Close()
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok {
		return 0, 0, fmt.Errorf("EFI stub %s is not a 64-bit program", stub)
	}
	// Some of the stubs declare an alignment below that of a page.
	align = max(uint64(header.SectionAlignment), 4096)
	for _, s := range f.Sections {
		address = max(address, header.ImageBase+uint64(s.VirtualAddress)+uint64(s.VirtualSize))
	}
	return alignUp(address, align), align, nil
}

func alignUp(n, align uint64) uint64 { return (n + align - 1) / align * align }

// ClearTime sets two fields of a PE header to zero: the time, where objcopy
// leaves that of its run, and the checksum over it, which firmware does not look at
// in an application.
func ClearTime(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var at [4]byte
	if _, err := f.ReadAt(at[:], 0x3c); err != nil { // e_lfanew: where the PE header is
		return err
	}
	header := int64(binary.LittleEndian.Uint32(at[:]))
	const time, optional, checksum = 8, 24, 64 // the last is relative to the optional header
	for _, offset := range []int64{time, optional + checksum} {
		if _, err := f.WriteAt(make([]byte, 4), header+offset); err != nil {
			return err
		}
	}
	return nil
}

// Sections reads the contents of the sections of an image, by name, without the
// padding at their ends.
func Sections(path string) (map[string][]byte, error) {
	f, err := pe.Open(path)
	if err != nil {
		return nil, fmt.Errorf("unified kernel image %s: %w", path, err)
	}
	defer f.Close()
	contents := map[string][]byte{}
	for _, s := range f.Sections {
		data, err := s.Data()
		if err != nil {
			return nil, fmt.Errorf("unified kernel image %s, section %s: %w", path, s.Name, err)
		}
		contents[s.Name] = data[:min(uint64(s.VirtualSize), uint64(len(data)))]
	}
	return contents, nil
}
