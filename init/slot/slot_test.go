package slot

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"weir/image/disk"
)

func TestTheSlotIsThePartitionThatTheFirmwareStartedFrom(t *testing.T) {
	for from, want := range map[string]string{
		disk.GUID(disk.SlotA):                  "a",
		strings.ToLower(disk.GUID(disk.SlotB)): "b",
		disk.GUID("weir-state"):                "",
		"":                                     "",
	} {
		b := []byte{6, 0, 0, 0} // visible at boot and at run time
		for _, u := range utf16.Encode([]rune(from + "\x00")) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		root := t.TempDir()
		path := filepath.Join(root, started)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := Booted(root); got != want {
			t.Errorf("%q: slot %q, want %q", from, got, want)
		}
	}
	if got := Booted(t.TempDir()); got != "" {
		t.Errorf("slot %q without UEFI", got)
	}
}

func TestWhatKexecStartedSaysSoOnItsCommandLine(t *testing.T) {
	for line, want := range map[string]string{"quiet weir.kexec=b": "b", "weir.kexec=a": "a", "weir.kexec=c": "", "weir.slot=net": "", "": ""} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "proc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "proc/cmdline"), []byte(line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, by := Booted(root), ByKexec(root); got != want || by != want {
			t.Errorf("%q: slot %q, by kexec %q, want %q", line, got, by, want)
		}
	}
}
