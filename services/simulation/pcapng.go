package simulation

import (
	"encoding/binary"
	"io"
)

// pcapng writes a capture file (draft-ietf-opsawg-pcapng): one section, one
// Ethernet interface per bus, time stamps in nanoseconds of virtual time.
type pcapng struct {
	w          io.Writer
	interfaces map[string]uint32
	err        error
}

const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	linkEthernet   = 1
	optionEnd      = 0
	optionName     = 2 // of an interface
	optionTSResol  = 9 // power of ten of a second
)

func newPcapng(w io.Writer) *pcapng {
	p := &pcapng{w: w, interfaces: map[string]uint32{}}
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, 0x1a2b3c4d) // byte order
	b = binary.LittleEndian.AppendUint16(b, 1)          // version 1.0
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, ^uint64(0)) // section length unknown
	p.block(blockSection, b)
	return p
}

// block writes one block; its total length stands at both ends.
func (p *pcapng) block(kind uint32, body []byte) {
	if p.err != nil {
		return
	}
	total := uint32(12 + len(body))
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, total)
	b = append(b, body...)
	b = binary.LittleEndian.AppendUint32(b, total)
	_, p.err = p.w.Write(b)
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

func (p *pcapng) packet(now int64, bus string, frame []byte) {
	id, known := p.interfaces[bus]
	if !known {
		id = uint32(len(p.interfaces))
		p.interfaces[bus] = id
		var b []byte
		b = binary.LittleEndian.AppendUint16(b, linkEthernet)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, 0) // no snapshot limit
		b = option(b, optionName, []byte(bus))
		b = option(b, optionTSResol, []byte{9})
		b = option(b, optionEnd, nil)
		p.block(blockInterface, b)
	}
	b := binary.LittleEndian.AppendUint32(nil, id)
	b = binary.LittleEndian.AppendUint32(b, uint32(uint64(now)>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(now))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	p.block(blockPacket, pad4(append(b, frame...)))
}
