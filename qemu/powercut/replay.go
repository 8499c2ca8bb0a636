package powercut

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// block is what a disk writes as a whole or not at all, in bytes: the sector
// behind the 512 bytes that it pretends to have. A longer write may be torn.
const block = 4096

// piece is the part of an entry that reached the disk, in sectors of the entry.
type piece struct {
	entry       int
	first, last int64 // last is the one behind
}

// cut says what is on the disk if the power fails after n entries. What was
// flushed, or written with FUA, is. Every later write is there, or is not, or
// is torn, as the seed has it: disks write their caches in any order.
func (l *Log) cut(n int, seed uint64) []piece {
	flushed := 0
	for i, e := range l.Entries[:n] {
		if e.Flags&Flush != 0 {
			flushed = i // its own data, if any, are not covered by it
		}
	}
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	var pieces []piece
	for i, e := range l.Entries[:n] {
		if !e.writes() {
			continue
		}
		p := piece{entry: i, last: e.Sectors}
		if i >= flushed && e.Flags&FUA == 0 {
			p.first, p.last = l.fate(e, random)
		}
		if p.first < p.last {
			pieces = append(pieces, p)
		}
	}
	return pieces
}

// fate draws what becomes of a write that nothing protected.
func (l *Log) fate(e Entry, random *rand.Rand) (first, last int64) {
	switch random.IntN(5) {
	case 0, 1:
		return 0, e.Sectors
	case 2, 3:
		return 0, 0
	}
	// Torn at the disk's own sectors, which count from the disk's beginning.
	per := max(block/l.SectorSize, 1)
	blocks := (e.Sector+e.Sectors-1)/per - e.Sector/per + 1
	from := random.Int64N(blocks)
	to := from + 1 + random.Int64N(blocks-from)
	within := func(b int64) int64 { return min(max((e.Sector/per+b)*per-e.Sector, 0), e.Sectors) }
	return within(from), within(to)
}

// Replay turns a disk as it was when the recording began into one as it is if
// the power fails after the first n entries. The same seed gives the same disk.
// size is the disk's, in bytes.
func (l *Log) Replay(disk io.WriterAt, size int64, n int, seed uint64) error {
	if n < 0 || n > len(l.Entries) {
		return fmt.Errorf("a power cut after %d of %d entries", n, len(l.Entries))
	}
	for _, p := range l.cut(n, seed) {
		e := l.Entries[p.entry]
		if e.Sector+e.Sectors > size/l.SectorSize {
			return fmt.Errorf("%w: entry %d writes %d sectors at %d, behind the disk's end", errLog, p.entry, e.Sectors, e.Sector)
		}
		var from io.Reader = zeros{}
		if e.Flags&Discard == 0 {
			from = io.NewSectionReader(l.data, e.data+p.first*l.SectorSize, (p.last-p.first)*l.SectorSize)
		}
		to := io.NewOffsetWriter(disk, (e.Sector+p.first)*l.SectorSize)
		if _, err := io.CopyN(to, from, (p.last-p.first)*l.SectorSize); err != nil {
			return fmt.Errorf("replay entry %d: %w", p.entry, err)
		}
	}
	return nil
}

// zeros is what a discarded sector reads as.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
