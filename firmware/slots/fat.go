package slots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// ErrTooSmall means that an image does not fit into a slot.
var ErrTooSmall = errors.New("too small")

const (
	sector = 512
	block  = 4096 // what is read and written in one piece, bytes

	// A FAT with fewer clusters is a FAT16 to those who read it ("FAT: General
	// Overview of On-Disk Format", 1.03, page 14).
	leastClusters = 65525 + 16

	rootCluster = 2
	endOfChain  = 0x0fffffff
)

// volume is a FAT32 file system that holds one file, each of its parts a function
// of its sizes and names:
//
//	sector 0, 1, 6, 7    boot sector, free space, and their copies
//	reserved…            the FAT, twice
//	data                 a cluster for the root and for each folder, then the file
//
// It is written whole instead of being changed: so it depends on nothing that was
// in the slot before, and there is one sector that makes it bootable.
type volume struct {
	label   string
	start   int64    // of the partition, in sectors of the disk
	folders []string // of the file, outermost first
	file    string
	size    int64 // of the file, bytes

	sectors, reserved, fat, perCluster, clusters int64
}

// newVolume lays out a partition of so many bytes for a file of size bytes with a
// path such as "EFI/weir/weir.efi": names of up to eight letters and three more. So
// many bytes before the FAT are left to others.
func newVolume(partition, start int64, label, path string, size, reserved int64) (volume, error) {
	if size <= 0 || size > math.MaxUint32 {
		return volume{}, fmt.Errorf("an image of %d bytes", size)
	}
	names := strings.Split(path, "/")
	v := volume{label: label, start: start / sector, folders: names[:len(names)-1], file: names[len(names)-1], size: size, sectors: partition / sector}
	for v.perCluster = block / sector; v.perCluster > 0; v.perCluster /= 2 {
		// A FAT of whole blocks, and data that begin with one.
		perBlock := int64(block / 4)
		v.fat = (v.sectors/v.perCluster + 2 + perBlock - 1) / perBlock * (block / sector)
		v.reserved = max(4*block, (reserved+block-1)/block*block) / sector
		v.clusters = (v.sectors - v.reserved - 2*v.fat) / v.perCluster
		if v.clusters >= leastClusters {
			break
		}
	}
	if v.perCluster == 0 || 1+int64(len(v.folders))+v.fileClusters() > v.clusters {
		return v, fmt.Errorf("the slot %s has %d MiB, and the image %d: %w; install onto a larger disk", label, partition>>20, (size+1<<20-1)>>20, ErrTooSmall)
	}
	return v, nil
}

func (v volume) clusterBytes() int64 { return v.perCluster * sector }
func (v volume) fileClusters() int64 { return (v.size + v.clusterBytes() - 1) / v.clusterBytes() }

// Offsets from the begin of the partition, in bytes.
func (v volume) fatAt(copy int64) int64 { return (v.reserved + copy*v.fat) * sector }
func (v volume) dataAt() int64          { return v.fatAt(2) }
func (v volume) fileCluster() int64     { return rootCluster + 1 + int64(len(v.folders)) }

// head is the first block: boot sector and free space, each with its copy.
func (v volume) head() []byte {
	b := make([]byte, block)
	le := binary.LittleEndian
	copy(b, "\xeb\x58\x90WEIR 1.0")
	le.PutUint16(b[11:], sector)
	b[13] = byte(v.perCluster)
	le.PutUint16(b[14:], uint16(v.reserved))
	b[16] = 2                 // copies of the FAT
	b[21] = 0xf8              // fixed disk
	le.PutUint16(b[24:], 63)  // sectors of a track and
	le.PutUint16(b[26:], 255) // heads, which nothing has
	le.PutUint32(b[28:], uint32(v.start))
	le.PutUint32(b[32:], uint32(v.sectors))
	le.PutUint32(b[36:], uint32(v.fat))
	le.PutUint32(b[44:], rootCluster)
	le.PutUint16(b[48:], 1) // free space
	le.PutUint16(b[50:], 6) // copies
	b[64], b[66] = 0x80, 0x29
	copy(b[67:], v.label) // as a serial number
	copy(b[71:82], padded(v.label, 11))
	copy(b[82:], "FAT32   ")
	b[90], b[91] = 0xeb, 0xfe // who starts it by BIOS waits
	b[510], b[511] = 0x55, 0xaa
	free := b[sector : 2*sector]
	copy(free, "RRaA")
	copy(free[484:], "rrAa")
	next := v.fileCluster() + v.fileClusters()
	le.PutUint32(free[488:], uint32(v.clusters+rootCluster-next))
	le.PutUint32(free[492:], uint32(next))
	free[510], free[511] = 0x55, 0xaa
	copy(b[6*sector:], b[:2*sector])
	return b
}

// fatPart fills b with the FAT's entries from the given one on.
func (v volume) fatPart(b []byte, from int64) {
	file, end := v.fileCluster(), v.fileCluster()+v.fileClusters()
	for i := range int64(len(b) / 4) {
		entry := uint32(0)
		switch n := from + i; {
		case n == 0:
			entry = 0x0ffffff8
		case n == 1 || n < file || n == end-1:
			entry = endOfChain // folders have one cluster each
		case n < end:
			entry = uint32(n + 1)
		}
		binary.LittleEndian.PutUint32(b[4*i:], entry)
	}
}

// directories are the clusters of the root and of the folders.
func (v volume) directories() []byte {
	all := make([]byte, (1+int64(len(v.folders)))*v.clusterBytes())
	for i := range 1 + len(v.folders) {
		b := all[int64(i)*v.clusterBytes():][:v.clusterBytes()]
		if i == 0 {
			b = put(b, padded(v.label, 11), 0x08, 0, 0, 0)
		} else {
			above := int64(rootCluster + i - 1)
			if above == rootCluster {
				above = 0 // this is how the root is called here
			}
			b = put(b, padded(".", 11), 0x10, 0, int64(rootCluster+i), 0)
			b = put(b, padded("..", 11), 0x10, 0, above, 0)
		}
		if i < len(v.folders) {
			name, small := short(v.folders[i])
			put(b, name, 0x10, small, int64(rootCluster+i+1), 0)
			continue
		}
		name, small := short(v.file)
		put(b, name, 0x20, small, v.fileCluster(), v.size)
	}
	return all
}

// put writes a directory entry and gives what is behind it. Its times are the
// first day that FAT knows, 1 January 1980.
func put(b []byte, name string, attributes, small byte, cluster, size int64) []byte {
	le := binary.LittleEndian
	copy(b[:11], name)
	b[11], b[12] = attributes, small
	const first = 1<<5 | 1
	le.PutUint16(b[16:], first)
	le.PutUint16(b[18:], first)
	le.PutUint16(b[24:], first)
	le.PutUint16(b[20:], uint16(cluster>>16))
	le.PutUint16(b[26:], uint16(cluster))
	le.PutUint32(b[28:], uint32(size))
	return b[32:]
}

// short is a name in its eleven bytes, and how it says that its letters are small.
func short(name string) (string, byte) {
	base, extension, _ := strings.Cut(name, ".")
	var small byte
	if base == strings.ToLower(base) {
		small |= 0x08
	}
	if extension != "" && extension == strings.ToLower(extension) {
		small |= 0x10
	}
	return strings.ToUpper(padded(base, 8) + padded(extension, 3)), small
}

func padded(s string, n int) string { return (s + strings.Repeat(" ", n))[:n] }
