package trial

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Medium is the partition weir-boot, or something like it. Offsets and lengths
// are multiples of 4096 bytes.
type Medium interface {
	io.ReaderAt
	io.WriterAt
	// Sync returns when what was written is on the disk.
	Sync() error
}

// Where the two copies are, in bytes from the begin of the partition: in reserved
// sectors of its FAT, so that no file system is written to; and far enough from
// each other that a disk never rewrites both at once. The loader has the same.
const (
	copy0 = 8192
	copy1 = 16384
	block = 4096
)

// ReservedBytes is how much of the partition the file system must leave to the
// record, its own first sectors included.
const ReservedBytes = copy1 + block

// Load reads the newest whole copy. The error is ErrNone if there is none.
func Load(m Medium) (Record, error) {
	r, _, err := load(m)
	return r, err
}

// load also tells where the copy is that the next Save may overwrite.
func load(m Medium) (newest Record, next int64, err error) {
	next = copy0
	found := false
	var failed, damaged error
	for _, at := range []int64{copy0, copy1} {
		b := make([]byte, block)
		if _, err := m.ReadAt(b, at); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		r, err := Decode(b)
		if err != nil {
			damaged = err
			continue
		}
		if !found || r.Sequence > newest.Sequence {
			newest, found, next = r, true, copy0+copy1-at
		}
	}
	switch {
	case found:
		return newest, next, nil
	case failed != nil:
		return newest, next, fmt.Errorf("read the record of upgrades: %w", failed)
	}
	return newest, next, damaged
}

// Save writes the record over the older copy and reads it back. After a power cut
// at any moment Load gives the record of before or this one. It returns the record
// as saved, with its new sequence.
func Save(m Medium, r Record) (Record, error) {
	old, at, err := load(m)
	if err != nil && !errors.Is(err, ErrNone) {
		return r, err
	}
	r.Sequence = old.Sequence + 1
	b := make([]byte, block)
	copy(b, r.Encode())
	if _, err := m.WriteAt(b, at); err != nil {
		return r, fmt.Errorf("write the record of upgrades: %w", err)
	}
	if err := m.Sync(); err != nil {
		return r, fmt.Errorf("write the record of upgrades: %w", err)
	}
	back := make([]byte, block)
	if _, err := m.ReadAt(back, at); err != nil {
		return r, fmt.Errorf("read the record of upgrades back: %w", err)
	}
	if !bytes.Equal(b, back) {
		return r, errors.New("the disk does not return the record of upgrades that was written to it: replace the disk")
	}
	return r, nil
}
