package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
)

func TestPinnedMapsOfAnotherLayoutAreFoundBeforeTheyAreMet(t *testing.T) {
	dir := filepath.Join("/sys/fs/bpf", "weir-compatible-"+filepath.Base(t.TempDir()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(Unpin(dir), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := Compatible(dir); err != nil {
		t.Errorf("without pins: %v", err)
	}
	spec, err := loadWeir()
	if err != nil {
		t.Fatal(err)
	}
	pin := func(valueSize, entries uint32) {
		t.Helper()
		s := spec.Maps[weirMapWeirFlows].Copy()
		s.Pinning, s.ValueSize, s.MaxEntries, s.Key, s.Value = ebpf.PinNone, s.ValueSize+valueSize, entries, nil, nil
		m, err := ebpf.NewMap(s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := errors.Join(Unpin(dir), m.Pin(filepath.Join(dir, weirMapWeirFlows))); err != nil {
			t.Fatal(err)
		}
	}
	pin(0, 77)
	if err := Compatible(dir); err != nil {
		t.Errorf("another number of connections: %v", err)
	}
	pin(8, 77)
	if err := Compatible(dir); !errors.Is(err, ebpf.ErrMapIncompatible) {
		t.Errorf("another size of an entry: %v", err)
	}
}
