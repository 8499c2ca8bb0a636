package gpt

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strings"
	"unicode/utf16"
)

const (
	mib     = 1 << 20
	entries = 128
)

// Piece is a part of a disk's content.
type Piece struct {
	At   int64 // bytes from the disk's begin
	Data []byte
}

// Table is the content that gives a disk one partition over all of it but its
// first and last MiB; see Divide.
func Table(size int64, sector int, label, seed string) (Partition, []Piece, bool) {
	all, pieces, ok := Divide(size, sector, seed, []Part{{Label: label, Type: LinuxData, ID: OwnID(seed)}})
	if !ok {
		return Partition{}, nil, false
	}
	return all[0], pieces, true
}

// Part is a partition that Divide makes.
type Part struct {
	Label string
	Type  string // GUID, as ID
	ID    string // GUID; it should be of this disk alone, or its label's
	Size  int64  // bytes, whole MiB; 0: all that is left
}

// Divide is the content that gives a disk these partitions, one after the other,
// between its first and last MiB; false: it is too small. The pieces are to be
// written in their order, the last one, the protective MBR, once the others are on
// the disk. The same arguments give the same bytes, so an attempt that a power cut
// interrupted can be told from foreign data. Seed makes the disk's GUID; it is best
// something of this very disk, such as its serial number.
func Divide(size int64, sector int, seed string, parts []Part) ([]Partition, []Piece, bool) {
	if !usable(size, sector) || size < 4*mib {
		return nil, nil, false
	}
	s := int64(sector)
	sectors := size / s
	table := make([]byte, (entries*entrySize+sector-1)/sector*sector)
	le := binary.LittleEndian
	start, end := int64(mib), (size-mib)/mib*mib
	var all []Partition
	for i, part := range parts {
		p := Partition{Number: i + 1, Name: part.Label, ID: part.ID, Start: start, Size: part.Size}
		if p.Size == 0 {
			p.Size = end - start
		}
		if start += p.Size; p.Size < mib || start > end {
			return nil, nil, false
		}
		e := table[i*entrySize:][:entrySize]
		copy(e, mixed(part.Type))
		copy(e[16:], mixed(part.ID))
		le.PutUint64(e[32:], uint64(p.Start/s))
		le.PutUint64(e[40:], uint64((p.Start+p.Size)/s-1))
		for i, c := range utf16.Encode([]rune(part.Label)) {
			le.PutUint16(e[56+2*i:], c)
		}
		all = append(all, p)
	}
	perTable := int64(len(table)) / s
	header := func(own, other, at int64) []byte {
		h := make([]byte, s)
		copy(h, signature)
		le.PutUint32(h[8:], 0x00010000) // revision 1.0
		le.PutUint32(h[12:], headerSize)
		le.PutUint64(h[24:], uint64(own))
		le.PutUint64(h[32:], uint64(other))
		le.PutUint64(h[40:], uint64(2+perTable))
		le.PutUint64(h[48:], uint64(sectors-2-perTable))
		copy(h[56:], guid(seed, "disk"))
		le.PutUint64(h[72:], uint64(at))
		le.PutUint32(h[80:], entries)
		le.PutUint32(h[84:], entrySize)
		le.PutUint32(h[88:], crc32.ChecksumIEEE(table[:entries*entrySize]))
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerSize]))
		return h
	}
	last := sectors - 1
	return all, []Piece{
		{At: (last - perTable) * s, Data: table},
		{At: last * s, Data: header(last, 1, last-perTable)},
		{At: 2 * s, Data: table},
		{At: s, Data: header(1, last, 2)},
		{At: 0, Data: protectiveMBR(sectors, sector)},
	}, true
}

// Types of partitions.
const (
	LinuxData = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	EFISystem = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
)

// mixed is a GUID in its 16 bytes, whose first three fields are little-endian.
func mixed(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != 16 {
		panic("gpt: " + text + " is no GUID") // a slip in the code
	}
	slices.Reverse(b[:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return b
}

// OwnID is the GUID of the only partition of a disk with that seed.
func OwnID(seed string) string { return id(guid(seed, "partition")) }

// guid is a version 8 UUID (RFC 9562) of seed and use.
func guid(seed, use string) []byte {
	h := sha256.Sum256([]byte("weir " + use + "\x00" + seed))
	h[7] = h[7]&0x0f | 0x80 // version, in the high byte of the third, little-endian field
	h[8] = h[8]&0x3f | 0x80 // variant
	return h[:16]
}

// protectiveMBR tells programs that know no GPT that the whole disk is taken.
func protectiveMBR(sectors int64, sector int) []byte {
	b := make([]byte, sector)
	e := b[446:462]
	e[2] = 2 // starts at LBA 1, in cylinder-head-sector form
	e[4] = 0xee
	e[5], e[6], e[7] = 0xff, 0xff, 0xff
	binary.LittleEndian.PutUint32(e[8:], 1)
	binary.LittleEndian.PutUint32(e[12:], uint32(min(sectors-1, 0xffffffff)))
	b[510], b[511] = 0x55, 0xaa
	return b
}
