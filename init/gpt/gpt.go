// Package gpt reads and makes GUID partition tables (UEFI specification 2.10,
// section 5.3), as far as a state disk needs them.
//
//	LBA 0       protective MBR
//	LBA 1       header: signature, CRC, place of the entries and of the other header
//	LBA 2…33    128 entries of 128 bytes: type, id, first and last LBA, name
//	…           partitions
//	last 33     the entries again, then the header again
package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"
)

// Partition is one entry of a table.
type Partition struct {
	Number int    // from 1, as in the kernel's sda1
	Name   string // its label
	ID     string // its GUID, in upper case
	Start  int64  // bytes from the disk's begin
	Size   int64  // bytes
}

// ErrNone means that the disk has no GUID partition table.
var ErrNone = errors.New("no GUID partition table")

const (
	signature  = "EFI PART"
	headerSize = 92
	entrySize  = 128
	maxEntries = 1024 // more is damage, not a table
)

// Read gives the partitions of a disk of size bytes with sectors of sector
// bytes. If the first table is damaged, the second at the disk's end counts. The
// error is ErrNone if there is neither.
func Read(disk io.ReaderAt, size int64, sector int) ([]Partition, error) {
	if !usable(size, sector) {
		return nil, fmt.Errorf("a disk of %d bytes in sectors of %d: %w", size, sector, ErrNone)
	}
	first, err := readTable(disk, size, int64(sector), 1)
	if err == nil {
		return first, nil
	}
	second, err2 := readTable(disk, size, int64(sector), size/int64(sector)-1)
	if err2 == nil {
		return second, nil
	}
	return nil, err
}

// usable: sectors are powers of two, and both tables fit.
func usable(size int64, sector int) bool {
	return sector >= 512 && sector <= 4096 && sector&(sector-1) == 0 && size >= 2*mib
}

func readTable(disk io.ReaderAt, size, sector, lba int64) ([]Partition, error) {
	h := make([]byte, sector)
	if _, err := disk.ReadAt(h, lba*sector); err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	if string(h[:8]) != signature {
		return nil, ErrNone
	}
	le := binary.LittleEndian
	length := le.Uint32(h[12:])
	if length < headerSize || int64(length) > sector {
		return nil, fmt.Errorf("partition table of %d bytes header: %w", length, ErrNone)
	}
	sum := le.Uint32(h[16:])
	le.PutUint32(h[16:], 0)
	if crc32.ChecksumIEEE(h[:length]) != sum || le.Uint64(h[24:]) != uint64(lba) {
		return nil, fmt.Errorf("damaged partition table: %w", ErrNone)
	}
	at, count, each := le.Uint64(h[72:]), le.Uint32(h[80:]), le.Uint32(h[84:])
	last := uint64(size / sector)
	if at >= last || count > maxEntries || each < entrySize || each > 4096 {
		return nil, fmt.Errorf("partition table with impossible entries: %w", ErrNone)
	}
	entries := make([]byte, int(count)*int(each))
	if _, err := disk.ReadAt(entries, int64(at)*sector); err != nil {
		return nil, fmt.Errorf("read the partition table's entries: %w", err)
	}
	if crc32.ChecksumIEEE(entries) != le.Uint32(h[88:]) {
		return nil, fmt.Errorf("damaged entries of the partition table: %w", ErrNone)
	}
	var all []Partition
	for i := range int(count) {
		e := entries[i*int(each):][:entrySize]
		start, end := le.Uint64(e[32:]), le.Uint64(e[40:])
		if [16]byte(e[:16]) == [16]byte{} || start > end || end >= last || start == 0 {
			continue // unused, or it points outside of the disk
		}
		all = append(all, Partition{Number: i + 1, Name: name(e[56:128]), ID: id(e[16:32]),
			Start: int64(start) * sector, Size: int64(end-start+1) * sector})
	}
	return all, nil
}

// id is a GUID in its usual form; its first three fields are little-endian.
func id(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

// name decodes UTF-16LE up to its first zero.
func name(b []byte) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}
