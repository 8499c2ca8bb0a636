package slots

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"weir/firmware/trial"
	"weir/image/disk"
)

// machine is a folder that looks like one, with the disks that are added to it.
func machine(t *testing.T, started string) string {
	t.Helper()
	root := t.TempDir()
	var b []byte
	for _, u := range utf16.Encode([]rune(started + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	if started != "" {
		place(t, root, "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", string(append([]byte{6, 0, 0, 0}, b...)))
	}
	place(t, root, "/sys/block/.keep", "")
	return root
}

func place(t *testing.T, root, path, text string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const mib = 1 << 20

// addDisk gives the machine a disk with partitions of 4 MiB, each with the GUID
// that belongs to its label.
func addDisk(t *testing.T, root, name string, labels ...string) {
	t.Helper()
	const size, entries = 18 * mib, 128
	b := make([]byte, size)
	le := binary.LittleEndian
	table := b[2*sector:][:entries*128]
	place(t, root, "/sys/block/"+name+"/device/.keep", "")
	place(t, root, "/sys/block/"+name+"/size", fmt.Sprint(size/512))
	for i, label := range labels {
		e := table[i*128:][:128]
		e[0] = 1
		id, err := hex.DecodeString(strings.ReplaceAll(disk.GUID(label), "-", ""))
		if err != nil {
			t.Fatal(err)
		}
		copy(e[16:], []byte{id[3], id[2], id[1], id[0], id[5], id[4], id[7], id[6]})
		copy(e[24:], id[8:])
		start := uint64((1 + 4*i) * mib / sector)
		le.PutUint64(e[32:], start)
		le.PutUint64(e[40:], start+4*mib/sector-1)
		for j, u := range utf16.Encode([]rune(label)) {
			le.PutUint16(e[56+2*j:], u)
		}
		dir := fmt.Sprintf("/sys/block/%s/%s%d", name, name, i+1)
		place(t, root, dir+"/partition", fmt.Sprint(i+1))
		place(t, root, dir+"/start", fmt.Sprint(start))
	}
	h := b[sector:]
	copy(h, "EFI PART")
	le.PutUint32(h[12:], 92)
	le.PutUint64(h[24:], 1)
	le.PutUint64(h[72:], 2)
	le.PutUint32(h[80:], entries)
	le.PutUint32(h[84:], 128)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(table))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
	place(t, root, "/dev/"+name, string(b))
}

func TestTheSlotsAreThoseOfTheDiskThatWasBooted(t *testing.T) {
	root := machine(t, disk.GUID(disk.SlotB))
	addDisk(t, root, "vda", disk.State)
	addDisk(t, root, "vdb", disk.Boot, disk.SlotA, disk.SlotB, disk.State)
	d, err := Find(root)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "vdb" || d.Running != trial.B || d.Slot(trial.A).Device != "/dev/vdb2" || d.Slot(trial.B).Device != "/dev/vdb3" || d.Boot.Device != "/dev/vdb1" || d.A.Start != 5*mib {
		t.Errorf("got %+v", d)
	}
	if err := d.Write(context.Background(), trial.B, Image{Size: 1}); err == nil || !strings.Contains(err.Error(), "slot b runs") {
		t.Errorf("the running slot: %v", err)
	}
	if err := d.Write(context.Background(), trial.None, Image{Size: 1}); err == nil {
		t.Error("no slot is written")
	}
	if err := d.Fits(1); !errors.Is(err, ErrTooSmall) {
		t.Errorf("a slot of 4 MiB: %v", err)
	}
}

func TestADiskThatCannotBeToldIsNotTouched(t *testing.T) {
	all := []string{disk.Boot, disk.SlotA, disk.SlotB, disk.State}
	for _, c := range []struct {
		name, started string
		disks         map[string][]string
		want          string
	}{
		{"booted over the network", "", map[string][]string{"vda": all}, ErrNotFromSlot.Error()},
		{"booted from another disk", disk.GUID("other"), map[string][]string{"vda": all}, ErrNotFromSlot.Error()},
		{"booted from weir-boot", disk.GUID(disk.Boot), map[string][]string{"vda": all}, ErrNotFromSlot.Error()},
		{"two disks of one image", disk.GUID(disk.SlotA), map[string][]string{"vda": all, "vdb": all}, "vda and vdb both have"},
		{"no boot loader", disk.GUID(disk.SlotA), map[string][]string{"vda": all[1:]}, "0 partitions labelled weir-boot"},
		{"two slots b", disk.GUID(disk.SlotA), map[string][]string{"vda": {disk.Boot, disk.SlotA, disk.SlotB, disk.SlotB}}, "2 partitions labelled weir-b"},
	} {
		root := machine(t, c.started)
		for name, labels := range c.disks {
			addDisk(t, root, name, labels...)
		}
		if d, err := Find(root); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v", c.name, d, err)
		}
	}
}

func TestTheRecordNeedsItsPlace(t *testing.T) {
	for name, args := range map[string][]string{"as the image": {"-R", "64"}, "another": nil} {
		slot := saved(t, nil)
		if err := os.Truncate(slot, 64*mib); err != nil {
			t.Fatal(err)
		}
		command(t, "/sbin/mkfs.vfat", append(args, "-F", "32", slot)...)
		head, err := os.ReadFile(slot)
		if err != nil {
			t.Fatal(err)
		}
		if err := reserves(head); (err == nil) != (args != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if reserves(make([]byte, block)) == nil {
		t.Error("zeros are taken for a file system")
	}
}

func TestAPartitionIsReadAndWrittenInWholeBlocks(t *testing.T) {
	path := saved(t, make([]byte, 4*mib))
	f, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, _ := image(3*mib, 1)
	if _, err := f.WriteAt(content, block); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(content))
	if n, err := f.ReadAt(back, block); err != nil || n != len(back) || !bytes.Equal(back, content) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if f.Size() != 4*mib {
		t.Errorf("size %d", f.Size())
	}
	if _, err := f.WriteAt(content[:100], 0); err == nil {
		t.Error("a part of a block is written")
	}
	if _, err := f.ReadAt(back[:block], 4*mib); err == nil {
		t.Error("it is read behind its end")
	}
	if _, err := open(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a partition that is not there is opened")
	}
}
