package web

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Files of an image and of an offer.
const (
	kernel    = "vmlinuz"
	initramfs = "initramfs.cpio.zst"
	unified   = "weir.efi"
	loader    = "loader.efi"
	manifest  = "manifest.json"
)

// maxManifest bounds a manifest, in bytes; they have a few KiB.
const maxManifest = 1 << 20

// CheckImage looks whether a folder has what a machine boots.
func CheckImage(dir string) error {
	if err := has(dir, kernel, initramfs, manifest); err != nil {
		return err
	}
	_, err := commandLine(dir)
	return err
}

// CheckInstallable looks whether it has what a machine writes to its disk.
func CheckInstallable(dir string) error { return has(dir, unified, loader) }

func has(dir string, names ...string) error {
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return fmt.Errorf("%s is missing; copy %s of the image there", filepath.Join(dir, name), strings.Join(names, ", "))
		}
	}
	return nil
}

// commandLine is what an image's manifest says of its kernel's command line.
func commandLine(dir string) (string, error) {
	path := filepath.Join(dir, manifest)
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxManifest {
		err = fmt.Errorf("%s has %d bytes: that is no manifest", path, info.Size())
	}
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var m struct {
		CommandLine string `json:"command_line"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if strings.ContainsAny(m.CommandLine, "\r\n$") {
		return "", fmt.Errorf("%s: command_line is not one line of words", path)
	}
	return strings.TrimSpace(m.CommandLine), nil
}
