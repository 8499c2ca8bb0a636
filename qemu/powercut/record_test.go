package powercut

import (
	"bytes"
	"encoding/binary"
)

const sector = 512

// recording builds a log as QEMU writes it.
type recording struct {
	entries uint64
	body    bytes.Buffer
}

// add appends an entry; every sector of it is filled with one byte.
func (r *recording) add(flags Flags, first uint64, fill ...byte) *recording {
	r.entries++
	head := make([]byte, sector)
	binary.LittleEndian.PutUint64(head, first)
	binary.LittleEndian.PutUint64(head[8:], uint64(len(fill)))
	binary.LittleEndian.PutUint64(head[16:], uint64(flags))
	r.body.Write(head)
	if flags&Discard == 0 {
		for _, b := range fill {
			r.body.Write(bytes.Repeat([]byte{b}, sector))
		}
	}
	return r
}

func (r *recording) bytes() []byte {
	super := make([]byte, sector)
	binary.LittleEndian.PutUint64(super, magic)
	binary.LittleEndian.PutUint64(super[8:], version)
	binary.LittleEndian.PutUint64(super[16:], r.entries)
	binary.LittleEndian.PutUint32(super[24:], sector)
	return append(super, r.body.Bytes()...)
}

func open(b []byte) (*Log, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// image is a disk in memory; it does not grow.
type image []byte

func (d image) WriteAt(p []byte, at int64) (int, error) { return copy(d[at:], p), nil }

// sectors is the first byte of every sector.
func (d image) sectors() []byte {
	var s []byte
	for at := 0; at < len(d); at += sector {
		s = append(s, d[at])
	}
	return s
}
