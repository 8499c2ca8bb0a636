package variant

import (
	"bytes"
	"debug/pe"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// hang is a jump to itself.
const hang = "\xeb\xfe"

// kernel copies the kernel. One that hangs has the jump at its entries, that of EFI
// and the one that kexec uses.
func (v Variant) kernel(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if v.Hangs {
		f, err := pe.NewFile(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		entry := f.OptionalHeader.(*pe.OptionalHeader64).AddressOfEntryPoint
		for _, s := range f.Sections {
			if entry >= s.VirtualAddress && entry < s.VirtualAddress+s.Size {
				copy(text[entry-s.VirtualAddress+s.Offset:], hang)
			}
		}
		// The 64-bit entry is behind the boot sector and as many as it names
		// (Documentation/x86/boot.rst).
		protected := (1 + int(text[0x1f1])) * 512
		copy(text[protected+0x200:], hang)
	}
	return os.WriteFile(to, text, 0o644)
}

// overlay makes a file with which the go tool sees the changed source (go help build).
func (c Change) overlay(root, temp string) (list string, err error) {
	path := filepath.Join(root, c.File)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), c.Old) != 1 {
		return "", fmt.Errorf("%s has no single place %q", path, c.Old)
	}
	changed := filepath.Join(temp, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), c.Old, c.New, 1)), 0o644); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	list = filepath.Join(temp, "overlay.json")
	return list, os.WriteFile(list, b, 0o644)
}
