package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"
)

// disk is a disk of the given size with a table for label.
func disk(t *testing.T, size int64, sector int, label string) ([]byte, Partition) {
	t.Helper()
	d := make([]byte, size)
	p, pieces, ok := Table(size, sector, label, "serial 1")
	if !ok {
		t.Fatalf("no table for a disk of %d bytes", size)
	}
	for _, piece := range pieces {
		copy(d[piece.At:], piece.Data)
	}
	return d, p
}

func TestATableThatWasMadeIsReadAgain(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		const size = 64*mib + 4096
		d, made := disk(t, size, sector, "weir-state")
		all, err := Read(bytes.NewReader(d), size, sector)
		if err != nil || !slices.Equal(all, []Partition{made}) {
			t.Errorf("sectors of %d: made %+v, read %+v, %v", sector, made, all, err)
		}
		if made.Start != mib || made.Start+made.Size > size-mib {
			t.Errorf("%+v is not inside of the disk's first and last MiB", made)
		}
	}
}

func TestTheSecondTableCountsIfTheFirstIsDamaged(t *testing.T) {
	d, made := disk(t, 8*mib, 512, "weir-state")
	d[600] ^= 1
	if all, err := Read(bytes.NewReader(d), 8*mib, 512); err != nil || !slices.Equal(all, []Partition{made}) {
		t.Errorf("damaged header: %+v, %v", all, err)
	}
	d[600] ^= 1
	d[1024+60] ^= 1
	if all, err := Read(bytes.NewReader(d), 8*mib, 512); err != nil || !slices.Equal(all, []Partition{made}) {
		t.Errorf("damaged entries: %+v, %v", all, err)
	}
	d[len(d)-512] ^= 1
	if _, err := Read(bytes.NewReader(d), 8*mib, 512); !errors.Is(err, ErrNone) {
		t.Errorf("both damaged: %v", err)
	}
}

func TestADiskWithoutATableOrTooSmallHasNone(t *testing.T) {
	for _, size := range []int64{0, 512, 8 * mib} {
		if _, err := Read(bytes.NewReader(make([]byte, size)), size, 512); !errors.Is(err, ErrNone) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, _, ok := Table(3*mib, 512, "weir-state", ""); ok {
		t.Error("a table is made on a disk without room for a partition")
	}
}

// begin is a disk whose first sectors are given; the rest is zeros.
type begin []byte

func (b begin) ReadAt(to []byte, at int64) (int, error) {
	clear(to)
	if at < int64(len(b)) {
		copy(to, b[at:])
	}
	return len(to), nil
}

func FuzzAnyDiskIsRead(f *testing.F) {
	const size = 4 * mib
	_, pieces, _ := Table(size, 512, "weir-state", "")
	f.Add(pieces[3].Data, pieces[2].Data[:entrySize])
	f.Fuzz(func(t *testing.T, header, table []byte) {
		// With sums that fit, or the fuzzer never gets past them.
		d := make(begin, 1024, 1024+len(table))
		copy(d[512:], header)
		d = append(d, table...)
		h, le := d[512:], binary.LittleEndian
		all := make([]byte, min(le.Uint32(h[80:]), maxEntries)*min(le.Uint32(h[84:]), 4096))
		d.ReadAt(all, int64(min(le.Uint64(h[72:]), size)*512))
		le.PutUint32(h[88:], crc32.ChecksumIEEE(all))
		le.PutUint32(h[16:], 0)
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:min(max(le.Uint32(h[12:]), headerSize), 512)]))
		found, _ := Read(d, size, 512)
		for _, p := range found {
			if p.Start <= 0 || p.Size <= 0 || p.Start+p.Size > size || p.Number < 1 {
				t.Errorf("a partition outside of the disk: %+v", p)
			}
		}
	})
}
