// Package manifest describes an image: manifest.json beside its files.
package manifest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/image/inputs"
)

// Manifest is what manifest.json holds.
type Manifest struct {
	Version string `json:"version"`
	// BuildTime is the time of the commit that the image was built from, never
	// that of the build: equal commits make equal images.
	BuildTime time.Time `json:"build_time"`
	Kernel    string    `json:"kernel"` // its version, as uname -r says it
	// CommandLine is what the kernel of the unified image gets, and what boots of
	// vmlinuz should be given too.
	CommandLine string `json:"command_line"`
	// TrustedRoot is the SHA-256 of the root whose keys the image takes updates
	// from, /etc/weir/root.json.
	TrustedRoot string `json:"trusted_root"`
	// SignedBy is the SHA-256 of the certificate with whose key weir.efi and
	// loader.efi are signed for Secure Boot; empty: they are not.
	SignedBy string `json:"signed_by,omitempty"`
	// Locked says that every input is as the lock file expects.
	Locked  bool           `json:"locked"`
	Outputs []Output       `json:"outputs"`
	Inputs  []inputs.Input `json:"inputs"`
	// Space is what the unpacked initramfs consists of, largest first.
	Space []Group `json:"space"`
}

// Output is one file of the image.
type Output struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Group is a part of the initramfs: a program, all kernel modules.
type Group struct {
	Name  string `json:"name"`
	Files int    `json:"files"`
	Size  int64  `json:"size"` // bytes, not compressed
}

// File is the name of the manifest in the folder of an image.
const File = "manifest.json"

// Describe measures one file of the image in dir.
func Describe(dir, name string) (Output, error) {
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return Output{}, err
	}
	hash, err := inputs.HashFile(path)
	return Output{Name: name, Size: info.Size(), SHA256: hash}, err
}

// Read reads the manifest of the image in dir.
func Read(dir string) (Manifest, error) {
	var m Manifest
	text, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		return m, fmt.Errorf("read manifest of the image (run make image): %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s: %w", filepath.Join(dir, File), err)
	}
	return m, nil
}

// Write writes the manifest into dir.
func (m Manifest) Write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, File), append(text, '\n'), 0o644)
}

// Output is the described file of that name.
func (m Manifest) Output(name string) (Output, bool) {
	for _, o := range m.Outputs {
		if o.Name == name {
			return o, true
		}
	}
	return Output{}, false
}
