// Package capture is what captures of packets have in common, whoever takes
// them: the file format, the filter, and one line about a frame for people.
package capture

import (
	"encoding/binary"
	"io"
)

// Writer writes a capture file (draft-ietf-opsawg-pcapng): one section, one
// Ethernet interface per place of capture, time stamps in nanoseconds.
type Writer struct {
	w          io.Writer
	interfaces map[string]uint32
	size       int64
	err        error
}

const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	linkEthernet   = 1
	optionEnd      = 0
	optionName     = 2 // of an interface
	optionFlags    = 2 // of a packet
	optionTSResol  = 9 // power of ten of a second
)

// Direction of a frame, as the flags of a packet have it.
type Direction uint32

// The directions.
const (
	Unknown Direction = iota
	In
	Out
)

// NewWriter begins a file.
func NewWriter(w io.Writer) *Writer {
	p := &Writer{w: w, interfaces: map[string]uint32{}}
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, 0x1a2b3c4d) // byte order
	b = binary.LittleEndian.AppendUint16(b, 1)          // version 1.0
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, ^uint64(0)) // section length unknown
	p.block(blockSection, b)
	return p
}

// Err is the first error of writing; nothing is written after it.
func (p *Writer) Err() error { return p.err }

// Size is how much was written, bytes.
func (p *Writer) Size() int64 { return p.size }

// block writes one block; its total length stands at both ends.
func (p *Writer) block(kind uint32, body []byte) {
	if p.err != nil {
		return
	}
	total := uint32(12 + len(body))
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, total)
	b = append(b, body...)
	b = binary.LittleEndian.AppendUint32(b, total)
	n, err := p.w.Write(b)
	p.size, p.err = p.size+int64(n), err
}

func option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad4(append(b, value...))
}

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Packet adds a frame that was length bytes long, of which frame is the
// beginning. at is in nanoseconds.
func (p *Writer) Packet(at int64, place string, d Direction, length int, frame []byte) {
	id, known := p.interfaces[place]
	if !known {
		id = uint32(len(p.interfaces))
		p.interfaces[place] = id
		var b []byte
		b = binary.LittleEndian.AppendUint16(b, linkEthernet)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, 0) // no snapshot limit
		b = option(b, optionName, []byte(place))
		b = option(b, optionTSResol, []byte{9})
		b = option(b, optionEnd, nil)
		p.block(blockInterface, b)
	}
	b := binary.LittleEndian.AppendUint32(nil, id)
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(at)>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = pad4(append(b, frame...))
	if d != Unknown {
		b = option(b, optionFlags, binary.LittleEndian.AppendUint32(nil, uint32(d)))
		b = option(b, optionEnd, nil)
	}
	p.block(blockPacket, b)
}
