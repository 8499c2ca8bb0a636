package state

import (
	"bytes"
	"fmt"
	"io"

	"weir/init/gpt"
)

const mib = 1 << 20

// DiskMark, at the begin of a disk that is otherwise empty, allows init to make
// it a state disk.
const DiskMark = "WEIR STATE DISK\n"

// formatting stands at the begin of the partition while it is being formatted,
// so that a power cut in the middle leaves something that init may format
// again. ext4 does not use a partition's first KiB.
const formatting = "WEIR STATE PARTITION, BEING FORMATTED\n"

// content is what a partition labelled as ours holds.
type content int

const (
	foreign     content = iota // never touched
	ext4                       // a file system
	empty                      // 1 MiB of zeros: to be formatted
	interrupted                // formatting did not end: to be formatted
)

// contentOf looks at the first MiB of a partition.
func contentOf(r io.ReaderAt) (content, error) {
	b := make([]byte, mib)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return foreign, fmt.Errorf("read its first MiB: %w", err)
	}
	switch {
	case bytes.HasPrefix(b, []byte(formatting)):
		return interrupted, nil
	case b[1024+56] == 0x53 && b[1024+57] == 0xef: // the superblock's magic number
		return ext4, nil
	case zeros(b):
		return empty, nil
	}
	return foreign, nil
}

// marked reports whether a whole disk is marked to become a state disk: the mark,
// and zeros in the rest of its first MiB and in its last. Sectors of the very
// table that it is to get may be there too: then a power cut interrupted that.
func marked(r io.ReaderAt, d disk) (bool, error) {
	if d.size < 4*mib {
		return false, nil
	}
	first := make([]byte, mib)
	if n, err := r.ReadAt(first[:len(DiskMark)], 0); n < len(DiskMark) {
		return false, fmt.Errorf("read its begin: %w", err)
	}
	if string(first[:len(DiskMark)]) != DiskMark {
		return false, nil
	}
	if n, err := r.ReadAt(first, 0); n < len(first) {
		return false, fmt.Errorf("read its first MiB: %w", err)
	}
	clear(first[:len(DiskMark)])
	last := make([]byte, mib)
	if n, err := r.ReadAt(last, d.size-mib); n < len(last) {
		return false, fmt.Errorf("read its last MiB: %w", err)
	}
	for _, parts := range [][]gpt.Part{stateOnly(d), bootable()} {
		_, pieces, ok := gpt.Divide(d.size, d.sector, d.seed, parts)
		if !ok {
			continue // too small for that
		}
		rest, end := bytes.Clone(first), bytes.Clone(last)
		for _, p := range pieces {
			forget(rest, 0, p, d.sector)
			forget(end, d.size-mib, p, d.sector)
		}
		if zeros(rest) && zeros(end) {
			return true, nil
		}
	}
	return false, nil
}

// forget clears the sectors of b, which begins at byte at of the disk, that
// equal the piece's.
func forget(b []byte, at int64, p gpt.Piece, sector int) {
	for i := 0; i < len(p.Data); i += sector {
		from := p.At + int64(i) - at
		if from < 0 || from+int64(sector) > int64(len(b)) {
			continue
		}
		if there := b[from : from+int64(sector)]; bytes.Equal(there, p.Data[i:i+sector]) {
			clear(there)
		}
	}
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
