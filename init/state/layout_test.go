package state

import (
	"os"
	"path/filepath"
	"testing"

	"weir/init/gpt"
)

func TestADiskThatIsDividedForTheImageIsMarkedUntilItsTableIsWhole(t *testing.T) {
	const size = 768 * mib
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(DiskMark); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	d := disk{name: "vda", size: size, sector: 512, seed: "S1"}
	parts, pieces, ok := gpt.Divide(d.size, d.sector, d.seed, bootable())
	if !ok || len(parts) != 4 || parts[3].Name != Label || parts[3].Start+parts[3].Size != size-mib {
		t.Fatalf("%+v", parts)
	}
	for i, p := range pieces {
		if ours, err := marked(f, d); !ours || err != nil {
			t.Errorf("before piece %d: %v, %v", i, ours, err)
		}
		if _, err := f.WriteAt(p.Data, p.At); err != nil {
			t.Fatal(err)
		}
	}
	if ours, err := marked(f, d); ours || err != nil {
		t.Errorf("with its whole table: %v, %v", ours, err)
	}
	got, err := gpt.Read(f, size, 512)
	if err != nil || len(got) != 4 || got[1] != parts[1] {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, ok := gpt.Divide(64*mib, 512, "S1", bootable()); ok {
		t.Error("a small disk is divided for the image")
	}
}

func TestASmallMarkedDiskKeepsStateAlsoWhereTheImageIsServed(t *testing.T) {
	m := newMachine(t)
	m.Install = true
	m.addDisk("vda", markedDisk())
	m.Open(t.Context())
	if st := m.Status(); st.Device != "/dev/vda1" || st.Mode != ReadWrite {
		t.Errorf("%+v", st)
	}
}
