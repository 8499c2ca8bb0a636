package slots

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"weir/firmware/trial"
	"weir/image/disk"
	"weir/init/gpt"
)

func TestAnInstalledDiskHasTheLoaderTheImageAndAPlaceForTheRecord(t *testing.T) {
	d := &Disk{Name: "vda"}
	for label, to := range map[string]*Partition{disk.Boot: &d.Boot, disk.SlotA: &d.A, disk.SlotB: &d.B} {
		path := saved(t, bytes.Repeat([]byte{0xa5}, testSize)) // what was there before
		*to = Partition{Partition: gpt.Partition{Name: label, Start: testStart, Size: testSize}, path: path}
	}
	loader, l := image(56_000, 1)
	unified, u := image(3<<20+77, 2)
	if err := d.Install(t.Context(), l, u); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    Partition
		path string
		want []byte
	}{{d.Boot, disk.BootPath, loader}, {d.A, disk.SlotPath, unified}} {
		out := filepath.Join(t.TempDir(), "file")
		command(t, "mcopy", "-i", c.p.path, "::"+c.path, out)
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d bytes, %v", c.path, len(got), err)
		}
		command(t, "/sbin/fsck.vfat", "-n", c.p.path)
	}
	record, err := d.Record()
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	if _, err := trial.Load(record); !errors.Is(err, trial.ErrNone) {
		t.Errorf("an old record is read: %v", err)
	}
	d.Running = trial.A
	if err := d.Install(t.Context(), l, u); err == nil {
		t.Error("the disk that runs is written")
	}
}

func TestOnlyADiskThatWasMadeForTheImageIsATarget(t *testing.T) {
	root := machine(t, "")
	addDisk(t, root, "vda", disk.State)
	if _, err := FindTarget(root); !errors.Is(err, ErrNoTarget) {
		t.Errorf("%v", err)
	}
	addDisk(t, root, "vdb", disk.Boot, disk.SlotA, disk.SlotB, disk.State)
	if d, err := FindTarget(root); err != nil || d.Name != "vdb" || d.Running != trial.None {
		t.Errorf("%+v, %v", d, err)
	}
	addDisk(t, root, "vdc", disk.Boot, disk.SlotA, disk.SlotB, disk.State)
	if _, err := FindTarget(root); err == nil {
		t.Error("one of two is taken")
	}
}
