package powercut

import (
	"encoding/binary"
	"errors"
	"testing"
)

func TestALogIsReadEntryByEntry(t *testing.T) {
	var r recording
	r.add(0, 8, 1, 2).add(Flush, 0).add(Discard, 3, 0, 0).add(FUA, 1, 9)
	b := append(r.bytes(), "the beginning of an entry that nobody counted"...)
	l, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{8, 2, 0, 1024}, {0, 0, Flush, 2560}, {3, 2, Discard, 3072}, {1, 1, FUA, 3584}}
	if len(l.Entries) != len(want) {
		t.Fatalf("got %v", l.Entries)
	}
	for i := range want {
		if l.Entries[i] != want[i] {
			t.Errorf("entry %d: got %v, want %v", i, l.Entries[i], want[i])
		}
	}
}

func TestADamagedLogIsRefused(t *testing.T) {
	good := func() []byte { return new(recording).add(0, 8, 1, 2).add(Flush, 0).bytes() }
	put := func(at int, v uint64) []byte { b := good(); binary.LittleEndian.PutUint64(b[at:], v); return b }
	for name, b := range map[string][]byte{
		"other magic":      put(0, 1),
		"other version":    put(8, 2),
		"too many entries": put(16, 3),
		"odd sector size":  put(24, 513),
		"small sectors":    put(24, 1),
		"unknown flag":     put(sector+16, 1<<20),
		"far sector":       put(sector, 1<<63),
		"endless entry":    put(sector+8, 1<<63),
		"longer entry":     put(sector+8, 4),
		"truncated":        good()[:3*sector],
	} {
		if _, err := open(b); !errors.Is(err, errLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(nil); err == nil {
		t.Error("an empty file is a log")
	}
}

// Whatever is in a log, reading it neither fails the program nor believes in
// data that are not there.
func FuzzOpen(f *testing.F) {
	f.Add(new(recording).add(0, 8, 1, 2).add(Flush, 0).add(Discard, 3, 0, 0).add(FUA, 1, 9).bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := open(b)
		if err != nil {
			return
		}
		for i, e := range l.Entries {
			if e.Flags&Discard == 0 && e.data+e.Sectors*l.SectorSize > int64(len(b)) {
				t.Fatalf("entry %d, %v, ends behind the log's %d bytes", i, e, len(b))
			}
		}
		const size = 64 * sector
		for seed := range uint64(4) {
			// Entries behind the disk's end are refused; image would panic.
			_ = l.Replay(make(image, size), size, len(l.Entries), seed)
		}
	})
}
