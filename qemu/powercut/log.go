// Package powercut makes disks as they are after a power cut, out of a
// recording of everything that a machine wrote to its disk (S-104).
//
// QEMU's blklogwrites driver makes the recording. Killing QEMU alone cuts no
// power as far as the disk is concerned: the host's page cache survives it.
package powercut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Flags say what kind of request an entry is.
type Flags uint64

// The flags of dm-log-writes (linux/drivers/md/dm-log-writes.c).
const (
	Flush   Flags = 1 << iota // all writes completed before are on the disk
	FUA                       // this write was on the disk when it completed
	Discard                   // carries no data; the sectors' content is gone
	Mark                      // a name that somebody gave to this point; carries its text

	known = Flush | FUA | Discard | Mark
)

// Entry is one request, in the order of completion.
type Entry struct {
	Sector  int64 // first sector
	Sectors int64 // 0: a flush alone
	Flags   Flags
	data    int64 // where its data begin in the log, in bytes
}

// writes reports whether the entry changes the disk.
func (e Entry) writes() bool { return e.Sectors > 0 && e.Flags&Mark == 0 }

// Log is a recording.
type Log struct {
	SectorSize int64 // bytes
	Entries    []Entry
	data       io.ReaderAt
}

const (
	magic       = 0x6a736677736872
	version     = 1
	superLength = 28 // bytes: magic, version, entries, sector size
	entryLength = 32 // bytes: sector, sectors, flags, length of a mark's text

	// maxSector is beyond every disk and keeps sums within 63 bits.
	maxSector = 1 << 48
)

var errLog = errors.New("damaged write log")

// Open reads a recording of the given size in bytes. The super block counts
// the entries: behind them may be the beginning of one more. r stays in use.
func Open(r io.ReaderAt, size int64) (*Log, error) {
	var super [superLength]byte
	if _, err := r.ReadAt(super[:], 0); err != nil {
		return nil, fmt.Errorf("read the write log's super block: %w", err)
	}
	le := binary.LittleEndian
	sector := int64(le.Uint32(super[24:]))
	switch {
	case le.Uint64(super[:]) != magic:
		return nil, fmt.Errorf("%w: no write log, its magic number is %#x", errLog, le.Uint64(super[:]))
	case le.Uint64(super[8:]) != version:
		return nil, fmt.Errorf("%w: version %d, not %d", errLog, le.Uint64(super[8:]), version)
	case sector < 512 || sector > 1<<16 || sector&(sector-1) != 0:
		return nil, fmt.Errorf("%w: sectors of %d bytes", errLog, sector)
	}
	l := &Log{SectorSize: sector, data: r}
	at := sector
	for i := range le.Uint64(super[16:]) {
		e, next, err := l.entry(at, size)
		if err != nil {
			return nil, fmt.Errorf("entry %d at byte %d: %w", i, at, err)
		}
		l.Entries = append(l.Entries, e)
		at = next
	}
	return l, nil
}

// entry reads the head of the entry at a byte and tells where the next begins.
func (l *Log) entry(at, size int64) (Entry, int64, error) {
	if at+l.SectorSize > size {
		return Entry{}, 0, fmt.Errorf("%w: it ends after %d bytes", errLog, size)
	}
	var head [entryLength]byte
	if _, err := l.data.ReadAt(head[:], at); err != nil {
		return Entry{}, 0, fmt.Errorf("read its head: %w", err)
	}
	le := binary.LittleEndian
	first, count, flags := le.Uint64(head[:]), le.Uint64(head[8:]), Flags(le.Uint64(head[16:]))
	if flags&^known != 0 {
		return Entry{}, 0, fmt.Errorf("%w: unknown flags %#x", errLog, uint64(flags))
	}
	if first > maxSector || count > maxSector {
		return Entry{}, 0, fmt.Errorf("%w: %d sectors from sector %d", errLog, count, first)
	}
	e := Entry{Sector: int64(first), Sectors: int64(count), Flags: flags, data: at + l.SectorSize}
	if flags&Discard != 0 {
		return e, e.data, nil
	}
	if e.Sectors > (size-e.data)/l.SectorSize {
		return Entry{}, 0, fmt.Errorf("%w: it ends within the data of %d sectors", errLog, count)
	}
	return e, e.data + e.Sectors*l.SectorSize, nil
}
