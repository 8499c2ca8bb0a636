package modules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// plug makes a device with that modalias appear.
func plug(t *testing.T, root, bus, modalias string) {
	t.Helper()
	path := filepath.Join(root, "/sys/bus", bus, "devices", fmt.Sprintf("%x", modalias))
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "modalias"), []byte(modalias+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	virtioNIC  = "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"
	virtioDisk = "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00"
	sata       = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"
)

func TestDevicesBehindDevicesGetTheirModulesAndControllersOfDisksAreLeft(t *testing.T) {
	root := t.TempDir()
	plug(t, root, "pci", virtioNIC)
	plug(t, root, "pci", virtioDisk)
	plug(t, root, "pci", sata)
	aliases, err := ReadAliases(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var loaded []string
	s := &search{root: root, aliases: aliases, done: map[string]bool{}, load: func(m string) error {
		mu.Lock()
		defer mu.Unlock()
		loaded = append(loaded, m)
		if m == "virtio_pci" {
			plug(t, root, "virtio", "virtio:d00000001v00001AF4")
		}
		return nil
	}}
	slow, n, err := s.waves()
	if !slices.Equal(loaded, []string{"virtio_pci", "virtio_net"}) || !slices.Equal(slow, []string{"ahci"}) || n != 2 || err != nil {
		t.Errorf("loaded %v, left %v, %d, %v", loaded, slow, n, err)
	}
	if slow, n, err := s.waves(); len(slow) != 0 || n != 0 || err != nil {
		t.Errorf("again: %v, %d, %v", slow, n, err)
	}
}

func TestADriverThatDoesNotWantADeviceIsNoMistake(t *testing.T) {
	err := report([]string{"a", "b", "c"}, []error{nil, fmt.Errorf("b: %w", unix.ENODEV), errors.New("invalid module format")})
	if err == nil || err.Error() != "c: invalid module format" {
		t.Error(err)
	}
}

func TestWhatDevicesSayOfThemselvesIsCollectedOnce(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{"pci/devices/a": "pci:x\n", "pci/devices/b": "pci:x\n", "platform/devices/c": "\n", "virtio/devices/d": "virtio:y\n"} {
		path = filepath.Join(dir, "/sys/bus", path)
		os.MkdirAll(path, 0o755)
		os.WriteFile(filepath.Join(path, "modalias"), []byte(text), 0o644)
	}
	if got := modaliases(dir); !slices.Equal(got, []string{"pci:x", "virtio:y"}) {
		t.Error(got)
	}
}

func TestOnlyWatchdogsAreLoadedBeforeAllElse(t *testing.T) {
	root := t.TempDir()
	plug(t, root, "pci", virtioNIC)
	plug(t, root, "pci", "pci:v00008086d00002918sv00001AF4sd00001100bc06sc01i00")
	aliases, err := ReadAliases(strings.NewReader(table + "alias pci:v00008086d00002918sv*sd*bc*sc*i* lpc_ich\nalias platform:iTCO_wdt iTCO_wdt\n"))
	if err != nil {
		t.Fatal(err)
	}
	var loaded []string
	s := &search{root: root, aliases: aliases, done: map[string]bool{}, load: func(m string) error {
		loaded = append(loaded, m) // one at a time: each wave has one
		if m == "lpc_ich" {
			plug(t, root, "platform", "platform:iTCO_wdt")
		}
		return nil
	}}
	if err := s.watchdogs(); err != nil || !slices.Equal(loaded, []string{"lpc_ich", "iTCO_wdt"}) {
		t.Errorf("loaded %v, %v", loaded, err)
	}
}
