package slots

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// simulated is a disk with a cache: it records what was written, and when it was
// flushed.
type simulated struct {
	content []byte
	entries []entry
	damage  int64 // a byte that the disk does not keep; 0: none
}

type entry struct {
	at    int64
	data  []byte
	flush bool
}

func newSimulated(content []byte) *simulated { return &simulated{content: content} }

func (d *simulated) Size() int64 { return int64(len(d.content)) }

func (d *simulated) ReadAt(b []byte, at int64) (int, error) {
	if at%block != 0 || len(b)%block != 0 {
		return 0, errors.New("not whole blocks")
	}
	return copy(b, d.content[at:]), nil
}

func (d *simulated) WriteAt(b []byte, at int64) (int, error) {
	if at%block != 0 || len(b)%block != 0 || at+int64(len(b)) > d.Size() {
		return 0, fmt.Errorf("%d bytes at %d are no whole blocks of the disk", len(b), at)
	}
	d.entries = append(d.entries, entry{at: at, data: append([]byte(nil), b...)})
	copy(d.content[at:], b)
	if d.damage > at && d.damage < at+int64(len(b)) {
		d.content[d.damage] ^= 1
	}
	return len(b), nil
}

func (d *simulated) Sync() error {
	d.entries = append(d.entries, entry{flush: true})
	return nil
}

// cut is the disk if power fails after n entries: what was flushed is there; of
// every later write, all, nothing, or some sectors.
func (d *simulated) cut(disk []byte, n int, random *rand.Rand) {
	flushed := 0
	for i, e := range d.entries[:n] {
		if e.flush {
			flushed = i
		}
	}
	for i, e := range d.entries[:n] {
		kept := random.IntN(3) // of an entry that nothing protected: 0 nothing, 1 all
		switch {
		case e.flush:
		case i < flushed || kept == 1:
			copy(disk[e.at:], e.data)
		case kept == 2:
			for s := 0; s < len(e.data); s += sector {
				if random.IntN(2) == 0 {
					copy(disk[e.at+int64(s):], e.data[s:s+sector])
				}
			}
		}
	}
}

// oldSlot is a slot with the version of before, as the tools of the image make it.
func oldSlot(t *testing.T) []byte {
	t.Helper()
	content, _ := image(2_500_000, 9)
	slot, from := filepath.Join(t.TempDir(), "old"), saved(t, content)
	if err := os.WriteFile(slot, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(slot, testSize); err != nil {
		t.Fatal(err)
	}
	command(t, "/sbin/mkfs.vfat", "-F", "32", "-n", "WEIR-B", slot)
	command(t, "mmd", "-i", slot, "::EFI", "::EFI/weir")
	command(t, "mcopy", "-i", slot, from, "::"+testPath)
	b, err := os.ReadFile(slot)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAPowerCutAtEveryWriteLeavesTheOldImageTheNewOneOrNone(t *testing.T) {
	before := oldSlot(t)
	oldContent, _ := image(2_500_000, 9)
	newContent, i := image(3_100_000, 1)
	d := newSimulated(bytes.Clone(before))
	if err := layout(t, i.Size).write(context.Background(), d, i); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	disk := make([]byte, testSize)
	for n := range len(d.entries) + 1 {
		for seed := range uint64(6) {
			copy(disk, before)
			d.cut(disk, n, rand.New(rand.NewPCG(seed, uint64(n))))
			got, err := readFAT(disk, testPath)
			switch {
			case errors.Is(err, errNotBootable):
				seen["none"]++
			case err == nil && bytes.Equal(got, oldContent):
				seen["old"]++
			case err == nil && bytes.Equal(got, newContent):
				seen["new"]++
			default:
				t.Fatalf("power fails after %d of %d entries, seed %d: the slot can be started and holds %d bytes of neither image, %v", n, len(d.entries), seed, len(got), err)
			}
		}
	}
	t.Logf("%d entries, power cuts left: %v", len(d.entries), seen)
	if seen["none"] == 0 || seen["old"] == 0 || seen["new"] == 0 {
		t.Errorf("power cuts left %v: all three should happen", seen)
	}
	if last := d.entries[len(d.entries)-1]; !last.flush {
		t.Error("the last write is not flushed")
	}
}

var errNotBootable = errors.New("no file system")

// readFAT is a reader of FAT32 that trusts nothing but the first sector, as
// firmware does.
func readFAT(disk []byte, path string) ([]byte, error) {
	le := binary.LittleEndian
	if disk[510] != 0x55 || disk[511] != 0xaa || le.Uint16(disk[11:]) != sector {
		return nil, errNotBootable
	}
	per, reserved, fat := int64(disk[13]), int64(le.Uint16(disk[14:])), int64(le.Uint32(disk[36:]))
	data := (reserved + 2*fat) * sector
	chain := func(cluster uint32) (all []byte, err error) {
		for cluster < 0x0ffffff8 {
			at := data + int64(cluster-2)*per*sector
			if cluster < 2 || at+per*sector > int64(len(disk)) || len(all) > len(disk) {
				return nil, fmt.Errorf("cluster %d", cluster)
			}
			all = append(all, disk[at:at+per*sector]...)
			cluster = le.Uint32(disk[reserved*sector+4*int64(cluster):]) & 0x0fffffff
		}
		return all, nil
	}
	at, size := le.Uint32(disk[44:]), uint32(0)
	for _, name := range strings.Split(path, "/") {
		folder, err := chain(at)
		if err != nil {
			return nil, err
		}
		want, _ := short(name)
		for ; len(folder) >= 32 && string(folder[:11]) != want; folder = folder[32:] {
		}
		if len(folder) < 32 {
			return nil, fmt.Errorf("%s is missing", name)
		}
		at, size = uint32(le.Uint16(folder[20:]))<<16|uint32(le.Uint16(folder[26:])), le.Uint32(folder[28:])
	}
	content, err := chain(at)
	if err != nil || int(size) > len(content) {
		return nil, fmt.Errorf("%d of %d bytes, %v", len(content), size, err)
	}
	return content[:size], nil
}
