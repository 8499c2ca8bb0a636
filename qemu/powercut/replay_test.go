package powercut

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// after is the disk, one byte per sector, after a power cut.
func after(t *testing.T, r *recording, sectors, n int, seed uint64) []byte {
	t.Helper()
	l, err := open(r.bytes())
	if err != nil {
		t.Fatal(err)
	}
	disk := make(image, sectors*sector)
	if err := l.Replay(disk, int64(len(disk)), n, seed); err != nil {
		t.Fatal(err)
	}
	return disk.sectors()
}

func TestWhatWasFlushedIsThere(t *testing.T) {
	r := new(recording).add(0, 0, 1, 2).add(0, 3, 4).add(Flush, 0).add(0, 0, 9)
	for seed := range uint64(100) {
		if got := after(t, r, 4, 3, seed); !bytes.Equal(got, []byte{1, 2, 0, 4}) {
			t.Fatalf("seed %d: %v", seed, got)
		}
		if got := after(t, r, 4, 4, seed); !bytes.Equal(got[1:], []byte{2, 0, 4}) {
			t.Fatalf("seed %d: %v", seed, got)
		}
	}
}

func TestAWriteWithFUAIsThereThoughEarlierOnesAreNot(t *testing.T) {
	r := new(recording).add(0, 0, 1).add(FUA, 1, 2)
	lost := false
	for seed := range uint64(100) {
		got := after(t, r, 2, 2, seed)
		if got[1] != 2 {
			t.Fatalf("seed %d: %v", seed, got)
		}
		lost = lost || got[0] == 0
	}
	if !lost {
		t.Error("no seed loses the write before")
	}
}

func TestUnflushedWritesAreLostInEveryCombination(t *testing.T) {
	r := new(recording).add(Flush, 0).add(0, 0, 1).add(0, 8, 2).add(0, 16, 3)
	seen := map[string]bool{}
	for seed := range uint64(1000) {
		got := after(t, r, 24, 4, seed)
		seen[string([]byte{got[0], got[8], got[16]})] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d of 8 combinations", len(seen))
	}
}

func TestALongWriteIsTornAtFourKibibytesOnly(t *testing.T) {
	// Sectors 4 to 27: a half of block 0, blocks 1 and 2, a half of block 3.
	r := new(recording).add(0, 4, bytes.Repeat([]byte{7}, 24)...)
	torn := 0
	for seed := range uint64(1000) {
		got := after(t, r, 32, 1, seed)
		for i, b := range got {
			if written := i >= 4 && i < 28; !written && b != 0 {
				t.Fatalf("seed %d: sector %d was never written: %v", seed, i, got)
			}
		}
		var blocks []byte
		for _, part := range [][]byte{got[4:8], got[8:16], got[16:24], got[24:28]} {
			if len(slices.Compact(slices.Clone(part))) != 1 {
				t.Fatalf("seed %d: torn within a block: %v", seed, got)
			}
			blocks = append(blocks, part[0])
		}
		if len(slices.Compact(blocks)) > 1 {
			torn++
		}
	}
	if torn < 50 {
		t.Errorf("torn with %d of 1000 seeds", torn)
	}
}

func TestADiscardedSectorIsZeroAndMarksWriteNothing(t *testing.T) {
	r := new(recording).add(0, 0, 1, 2, 3).add(Discard, 1, 0).add(Mark, 0, 5).add(Flush, 0)
	if got := after(t, r, 3, 4, 1); !bytes.Equal(got, []byte{1, 0, 3}) {
		t.Error(got)
	}
}

func TestTheSameSeedCutsAlike(t *testing.T) {
	r := new(recording)
	for i := range 40 {
		r.add(0, uint64(i), byte(i+1))
	}
	if a, b := after(t, r, 40, 40, 7), after(t, r, 40, 40, 7); !bytes.Equal(a, b) {
		t.Errorf("%v, then %v", a, b)
	}
	if a, b := after(t, r, 40, 40, 7), after(t, r, 40, 40, 8); bytes.Equal(a, b) {
		t.Error("two seeds cut alike")
	}
}

func TestACutBehindTheRecordingAndAWriteBehindTheDiskAreRefused(t *testing.T) {
	l, err := open(new(recording).add(FUA, 3, 1).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Replay(make(image, 4*sector), 4*sector, 2, 1); err == nil {
		t.Error("a cut after 2 of 1 entries")
	}
	if err := l.Replay(make(image, 3*sector), 3*sector, 1, 1); err == nil {
		t.Error("a write behind the end")
	}
}

func TestADiskIsTheRecordedOneWithItsHolesAndTheWrites(t *testing.T) {
	dir := t.TempDir()
	base, cut := filepath.Join(dir, "base"), filepath.Join(dir, "cut")
	old := make([]byte, 1<<20)
	copy(old[512<<10:], "was here before")
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(base, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("was here before"), 512<<10); err != nil {
		t.Fatal(err)
	}
	l, err := open(new(recording).add(0, 2, 5).add(Flush, 0).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Disk(base, cut, 2, 1); err != nil {
		t.Fatal(err)
	}
	copy(old[1024:], bytes.Repeat([]byte{5}, sector))
	if got, err := os.ReadFile(cut); err != nil || !bytes.Equal(got, old) {
		t.Errorf("another disk (%v)", err)
	}
}

// Every sector holds what it held at the last flush or what was written to it
// since, whatever the requests were. Two bytes of input are one request.
func FuzzReplay(f *testing.F) {
	f.Add([]byte{1, 2, 9, 4, 200, 1, 3, 3}, uint64(1))
	f.Fuzz(func(t *testing.T, requests []byte, seed uint64) {
		const disk = 64 // sectors
		possible := make([][]byte, disk)
		for i := range possible {
			possible[i] = []byte{0}
		}
		var r recording
		for i := 0; i+1 < len(requests) && i < 400; i += 2 {
			first, kind := int(requests[i])%(disk-8), requests[i+1]
			count, value := int(kind>>3)%8+1, byte(i/2+1)
			switch kind & 7 {
			case 0:
				r.add(Flush, 0)
				for s, p := range possible {
					possible[s] = p[len(p)-1:]
				}
			case 1:
				r.add(FUA, uint64(first), bytes.Repeat([]byte{value}, count)...)
				for s := first; s < first+count; s++ {
					possible[s] = []byte{value}
				}
			case 2:
				r.add(Discard, uint64(first), make([]byte, count)...)
				for s := first; s < first+count; s++ {
					possible[s] = append(slices.Clone(possible[s]), 0)
				}
			default:
				r.add(0, uint64(first), bytes.Repeat([]byte{value}, count)...)
				for s := first; s < first+count; s++ {
					possible[s] = append(slices.Clone(possible[s]), value)
				}
			}
		}
		for s, b := range after(t, &r, disk, int(r.entries), seed) {
			if !slices.Contains(possible[s], b) {
				t.Fatalf("sector %d holds %d, possible are %v", s, b, possible[s])
			}
		}
	})
}
