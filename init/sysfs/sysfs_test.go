package sysfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsNotThereIsEmptyAndNothingIsMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "nr_hugepages")
	if Text(path) != "" || Number(path, -1) != -1 || Link(path) != "" {
		t.Error("an absent file has a value")
	}
	if err := Write(path, "4"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("written to an option that the kernel does not have: %v", err)
	}
	os.WriteFile(path, []byte(" 12\n"), 0o644)
	if Text(path) != "12" || Number(path, -1) != 12 {
		t.Errorf("%q, %d", Text(path), Number(path, -1))
	}
	os.Symlink("../../bus/pci/drivers/vfio-pci", filepath.Join(dir, "driver"))
	if got := Link(filepath.Join(dir, "driver")); got != "vfio-pci" {
		t.Error(got)
	}
}
