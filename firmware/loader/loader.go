// Package loader builds Weir's boot loader, the EFI program that firmware
// without boot variables starts, and that starts a slot on trial (S-104). What it
// does is told in efi/main.c.
package loader

import (
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"weir/firmware/bootvars"
	"weir/image/uki"
)

//go:embed efi/*.c efi/*.h
var sources embed.FS

// Loader is what goes in.
type Loader struct {
	// GNUEFI is the folder with gnu-efi's usr/include and usr/lib.
	GNUEFI string
	// SlotA and SlotB are the GUIDs of the slots' partitions.
	SlotA, SlotB string
	// SlotPath is the unified image in a slot, with slashes: "EFI/weir/weir.efi".
	SlotPath string
}

var compilerFlags = []string{
	"-std=c11", "-Os", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fpic", "-fshort-wchar", "-mno-red-zone", "-march=x86-64",
	"-fno-stack-protector", "-fno-strict-aliasing", "-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-fno-ident",
	"-DGNU_EFI_USE_MS_ABI",
}

// sections are those that a program of EFI consists of (gnu-efi's README).
var sections = []string{".text", ".sdata", ".data", ".dynamic", ".dynsym", ".rel", ".rela", ".rel.*", ".rela.*", ".reloc"}

// Build writes the program, using a temporary folder below temp. The same tools
// make the same bytes.
func (l Loader) Build(temp, output string) error {
	temp, err := os.MkdirTemp(temp, "loader-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := l.unpack(temp); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(temp, "*.c"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	usr, err := filepath.Abs(filepath.Join(l.GNUEFI, "usr"))
	if err != nil {
		return err
	}
	include, lib := filepath.Join(usr, "include/efi"), filepath.Join(usr, "lib")
	var objects []string
	for _, path := range names {
		name := filepath.Base(path)
		args := append(slices.Clone(compilerFlags), "-I"+include, "-I"+filepath.Join(include, "x86_64"), "-c", name, "-o", name+".o")
		if err := run(temp, "gcc", args...); err != nil {
			return err
		}
		objects = append(objects, name+".o")
	}
	link := []string{"-nostdlib", "-znocombreloc", "-znoexecstack", "-shared", "-Bsymbolic", "--build-id=none", "--no-undefined", "--no-warn-rwx-segments",
		"-T", filepath.Join(lib, "elf_x86_64_efi.lds"), filepath.Join(lib, "crt0-efi-x86_64.o")}
	link = append(append(link, objects...), filepath.Join(lib, "libefi.a"), filepath.Join(lib, "libgnuefi.a"), "-o", "loader.so")
	if err := run(temp, "ld", link...); err != nil {
		return err
	}
	var copied []string
	for _, s := range sections {
		copied = append(copied, "-j", s)
	}
	if err := run(temp, "objcopy", append(copied, "--target", "efi-app-x86_64", "--subsystem=10", "loader.so", "loader.efi")...); err != nil {
		return err
	}
	if err := uki.ClearTime(filepath.Join(temp, "loader.efi")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(temp, "loader.efi"), output)
}

// unpack writes the sources, and guids.h.
func (l Loader) unpack(dir string) error {
	header, err := l.header()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "guids.h"), []byte(header), 0o644); err != nil {
		return err
	}
	files, err := sources.ReadDir("efi")
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := sources.ReadFile("efi/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (l Loader) header() (string, error) {
	var b strings.Builder
	for _, d := range []struct{ name, guid string }{{"SLOT_A_GUID", l.SlotA}, {"SLOT_B_GUID", l.SlotB}, {"VENDOR_GUID", bootvars.Vendor}} {
		g, err := mixed(d.guid)
		if err != nil {
			return "", err
		}
		c := fmt.Sprintf("{%s}", bytesOf(g[:]))
		if d.name == "VENDOR_GUID" { // an EFI_GUID
			c = fmt.Sprintf("{0x%02x%02x%02x%02x, 0x%02x%02x, 0x%02x%02x, {%s}}", g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], bytesOf(g[8:]))
		}
		fmt.Fprintf(&b, "#define %s %s\n", d.name, c)
	}
	fmt.Fprintf(&b, "#define SLOT_PATH L\"\\\\%s\"\n", strings.ReplaceAll(l.SlotPath, "/", `\\`))
	return b.String(), nil
}

func bytesOf(b []byte) string {
	var all []string
	for _, c := range b {
		all = append(all, fmt.Sprintf("0x%02x", c))
	}
	return strings.Join(all, ", ")
}

// mixed are the bytes of a GUID as UEFI keeps them: the first three fields are
// little-endian (UEFI 2.10, appendix A).
func mixed(text string) (g [16]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		return g, fmt.Errorf("%q is no GUID", text)
	}
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return [16]byte(b), nil
}

func run(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
