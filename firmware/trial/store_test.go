package trial

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// memory is a partition whose writes are lost or torn at a power cut unless Sync
// came after them.
type memory struct {
	b      []byte
	writes []write // since the last Sync
	broken bool    // does not keep what is written
}

type write struct {
	data []byte
	at   int64
}

func newMemory() *memory { return &memory{b: make([]byte, ReservedBytes)} }

func (m *memory) ReadAt(b []byte, at int64) (int, error) { return copy(b, m.b[at:]), nil }

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if at%block != 0 || len(b)%block != 0 {
		return 0, errors.New("not a multiple of 4096 bytes")
	}
	m.writes = append(m.writes, write{append([]byte(nil), m.b[at:at+int64(len(b))]...), at})
	if m.broken {
		return len(b), nil
	}
	return copy(m.b[at:], b), nil
}

func (m *memory) Sync() error {
	m.writes = nil
	return nil
}

// cut undoes sectors of what was not synced.
func (m *memory) cut(random *rand.Rand) {
	for _, w := range m.writes {
		for i := 0; i < len(w.data); i += 512 {
			if random.IntN(2) == 0 {
				copy(m.b[w.at+int64(i):], w.data[i:i+512])
			}
		}
	}
}

// unsynced is a memory whose power fails before the data reach the disk.
type unsynced struct{ *memory }

var errCut = errors.New("power cut")

func (unsynced) Sync() error { return errCut }

func TestARecordIsReadAsItWasSaved(t *testing.T) {
	m := newMemory()
	if _, err := Load(m); !errors.Is(err, ErrNone) {
		t.Errorf("an empty partition: %v", err)
	}
	r := armed(t)
	r.Reason = strings.Repeat("ä", 200)
	for i := range 5 {
		r.Tries = uint8(i)
		saved, err := Save(m, r)
		if err != nil || saved.Sequence != uint64(i+1) {
			t.Fatalf("save %d: %+v, %v", i, saved, err)
		}
		saved.Reason = strings.Repeat("ä", (atSum-atReason)/2)
		if got, err := Load(m); err != nil || !reflect.DeepEqual(got, saved) {
			t.Fatalf("load %d: %+v, %v, want %+v", i, got, err, saved)
		}
	}
}

func TestAPowerCutLeavesTheOldRecordOrTheNewOne(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := newMemory()
	r, err := Save(m, armed(t))
	r = must(t, r, err)
	var olds, news int
	for i := range 200 {
		next := r
		next.Nonce = uint64(i)
		if _, err := Save(unsynced{m}, next); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		m.cut(random)
		m.writes = nil
		got, err := Load(m)
		switch {
		case err != nil:
			t.Fatalf("cut %d: %v", i, err)
		case got.Sequence == r.Sequence && got.Nonce == r.Nonce:
			olds++
		case got.Sequence == r.Sequence+1 && got.Nonce == next.Nonce:
			news++
		default:
			t.Fatalf("cut %d: %+v", i, got)
		}
		r = got
	}
	if olds == 0 || news == 0 {
		t.Errorf("%d times the old one, %d times the new one: both should happen", olds, news)
	}
}

func TestADiskThatKeepsNothingIsNoticed(t *testing.T) {
	if _, err := Save(&memory{b: make([]byte, ReservedBytes), broken: true}, armed(t)); err == nil || !strings.Contains(err.Error(), "replace the disk") {
		t.Errorf("got %v", err)
	}
}

func TestOneDamagedCopyCostsNothingButTheLastChange(t *testing.T) {
	m := newMemory()
	one, err := Save(m, armed(t))
	one = must(t, one, err)
	two, err := Save(m, one)
	two = must(t, two, err)
	m.b[copy1+200] ^= 1
	if got, err := Load(m); err != nil || got.Sequence != one.Sequence {
		t.Errorf("got %+v, %v", got, err)
	}
	m.b[copy1+200] ^= 1
	m.b[copy0+200] ^= 1
	if got, err := Load(m); err != nil || got.Sequence != two.Sequence {
		t.Errorf("got %+v, %v", got, err)
	}
	m.b[copy1+200] ^= 1
	if _, err := Load(m); !errors.Is(err, ErrNone) {
		t.Errorf("both damaged: %v", err)
	}
}

func FuzzAnyBytesAreARecordOrNot(f *testing.F) {
	f.Add(Record{}.Encode())
	f.Add(Record{State: Tried, Committed: A, Trial: B, Watchdog: time.Minute, Reason: "why", Slots: [2]Image{{Status: Good, Version: "1"}}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(sealed(b))
		if err != nil {
			return
		}
		again, err := Decode(r.Encode())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v becomes %+v, %v", r, again, err)
		}
		for _, running := range []Slot{None, A, B} {
			if _, d := Decide(r, true, Boot{Running: running}, now); len(d.Say) > 1000 {
				t.Errorf("it says %q", d.Say)
			}
		}
	})
}

// sealed gives bytes the checksum that fits, or a fuzzer never gets past it.
func sealed(b []byte) []byte {
	if len(b) < Size {
		return b
	}
	b = append([]byte(nil), b[:Size]...)
	binary.LittleEndian.PutUint32(b[atSum:], crc32.ChecksumIEEE(b[:atSum]))
	return b
}
