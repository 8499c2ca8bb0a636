package gpt

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
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
// first and last MiB. The partition is Partition; the pieces are to be written
// in their order, the last one, the protective MBR, once the others are on the
// disk. The same arguments give the same bytes, so an attempt that a power cut
// interrupted can be told from foreign data. Seed makes the GUIDs; it is best
// something of this very disk, such as its serial number.
func Table(size int64, sector int, label, seed string) (Partition, []Piece, bool) {
	if !usable(size, sector) || size < 4*mib {
		return Partition{}, nil, false
	}
	s := int64(sector)
	sectors := size / s
	p := Partition{Number: 1, Name: label, ID: id(guid(seed, "partition")), Start: mib, Size: (size - 2*mib) / mib * mib}
	table := make([]byte, (entries*entrySize+sector-1)/sector*sector)
	e := table[:entrySize]
	copy(e, linuxData)
	copy(e[16:], guid(seed, "partition"))
	le := binary.LittleEndian
	le.PutUint64(e[32:], uint64(p.Start/s))
	le.PutUint64(e[40:], uint64((p.Start+p.Size)/s-1))
	for i, c := range utf16.Encode([]rune(label)) {
		le.PutUint16(e[56+2*i:], c)
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
	return p, []Piece{
		{At: (last - perTable) * s, Data: table},
		{At: last * s, Data: header(last, 1, last-perTable)},
		{At: 2 * s, Data: table},
		{At: s, Data: header(1, last, 2)},
		{At: 0, Data: protectiveMBR(sectors, sector)},
	}, true
}

// linuxData is the type GUID 0FC63DAF-8483-4772-8E79-3D69D8477DE4, in its mixed
// byte order.
const linuxData = "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4"

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
