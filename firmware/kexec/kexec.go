// Package kexec has the running kernel take a unified image into memory, so that a
// restart needs no firmware (kexec_file_load(2)). Of the image it takes kernel,
// initramfs and command line; what the boot stub does, nobody does.
package kexec

import (
	"crypto/sha256"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/u-root/u-root/pkg/boot/kexec"
)

// maxCommandLine is what a kernel takes, bytes (COMMAND_LINE_SIZE of x86, without
// the zero at its end).
const maxCommandLine = 2047

// Load takes the image into memory, with more words behind its command line. The
// file must have that SHA-256; zeros: it is not known. temp is a folder with room for
// a second copy of it, in memory or on a disk; nothing is left there.
func Load(path string, sum [32]byte, words, temp string) error {
	temp, err := os.MkdirTemp(temp, "kexec-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	line, err := unpack(path, sum, temp)
	if err != nil {
		return err
	}
	if line += " " + words; len(line) > maxCommandLine {
		return fmt.Errorf("its command line is longer than the %d bytes that a kernel takes", maxCommandLine)
	}
	kernel, err := os.Open(filepath.Join(temp, ".linux"))
	if err != nil {
		return err
	}
	defer kernel.Close()
	initramfs, err := os.Open(filepath.Join(temp, ".initrd"))
	if err != nil {
		return err
	}
	defer initramfs.Close()
	if err := kexec.FileLoad(kernel, initramfs, line); err != nil {
		return fmt.Errorf("the kernel does not take it: %w", err)
	}
	return nil
}

// unpack writes .linux and .initrd of an image to a folder, and gives its .cmdline.
func unpack(path string, sum [32]byte, dir string) (line string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if sum != ([32]byte{}) {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		if [32]byte(h.Sum(nil)) != sum {
			return "", fmt.Errorf("%s is not the image that was written: install the version again", path)
		}
	}
	image, err := pe.NewFile(f)
	if err != nil {
		return "", fmt.Errorf("%s is no EFI program: %w", path, err)
	}
	parts := map[string]*pe.Section{}
	for _, s := range image.Sections {
		parts[s.Name] = s
	}
	for _, name := range []string{".cmdline", ".linux", ".initrd"} {
		if parts[name] == nil {
			return "", fmt.Errorf("%s is no unified image: it has no section %s", path, name)
		}
	}
	for _, name := range []string{".linux", ".initrd"} {
		if err := write(filepath.Join(dir, name), parts[name]); err != nil {
			return "", fmt.Errorf("unpack %s of %s: %w", name, path, err)
		}
	}
	text, err := io.ReadAll(io.LimitReader(parts[".cmdline"].Open(), min(size(parts[".cmdline"]), maxCommandLine+1)))
	if err != nil {
		return "", fmt.Errorf("read the command line of %s: %w", path, err)
	}
	return strings.TrimRight(string(text), " \n\x00"), nil
}

// size is that of a section without the padding at its end.
func size(s *pe.Section) int64 { return int64(min(s.VirtualSize, s.Size)) }

// write makes a file of a section. It is closed before the kernel reads it, which
// refuses one that somebody may change.
func write(path string, s *pe.Section) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, s.Open(), size(s)) // fails if the image is cut short
	return errors.Join(err, f.Close())
}
