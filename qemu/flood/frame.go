package flood

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TCP flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Path is the way that frames take: from which to which Ethernet address.
type Path struct {
	From, To net.HardwareAddr
}

// Segment is a TCP segment to be sent as a frame of its own.
type Segment struct {
	Src, Dst netip.AddrPort // of one family
	Seq, Ack uint32
	Flags    byte
	Options  []byte // a multiple of 4 bytes
	Payload  []byte
}

// Write puts the frame into room and returns its length. The frame is valid:
// lengths and checksums are right. It allocates nothing: floods are fast.
func (p Path) Write(room []byte, s Segment) int {
	at := p.transportAt(s.Src.Addr())
	n := 20 + len(s.Options) + len(s.Payload)
	tcp := room[at : at+n]
	binary.BigEndian.PutUint16(tcp[0:], s.Src.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.Dst.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.Seq)
	binary.BigEndian.PutUint32(tcp[8:], s.Ack)
	tcp[12] = byte(20+len(s.Options)) << 2
	tcp[13] = s.Flags
	binary.BigEndian.PutUint16(tcp[14:], 64240)
	binary.BigEndian.PutUint16(tcp[18:], 0)
	copy(tcp[20:], s.Options)
	copy(tcp[20+len(s.Options):], s.Payload)
	return p.finish(room, s.Src.Addr(), s.Dst.Addr(), unix.IPPROTO_TCP, at, n, 16)
}

// WriteUDP puts a frame with a UDP datagram into room.
func (p Path) WriteUDP(room []byte, src, dst netip.AddrPort, payload []byte) int {
	at := p.transportAt(src.Addr())
	n := 8 + len(payload)
	udp := room[at : at+n]
	binary.BigEndian.PutUint16(udp[0:], src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(n))
	copy(udp[8:], payload)
	return p.finish(room, src.Addr(), dst.Addr(), unix.IPPROTO_UDP, at, n, 6)
}

// writeIP puts a frame with any transport data into room, and its checksum at
// the given offset of the data.
func (p Path) writeIP(room []byte, src, dst netip.Addr, proto byte, transport []byte, sumAt int) int {
	at := p.transportAt(src)
	copy(room[at:], transport)
	return p.finish(room, src, dst, proto, at, len(transport), sumAt)
}

// transportAt is where the transport header begins in a frame.
func (p Path) transportAt(src netip.Addr) int {
	if src.Is4() {
		return 14 + 20
	}
	return 14 + 40
}

// finish writes Ethernet and IP headers before the n bytes of transport data.
func (p Path) finish(room []byte, src, dst netip.Addr, proto byte, at, n, sumAt int) int {
	copy(room[0:], p.To)
	copy(room[6:], p.From)
	if src.Is4() {
		binary.BigEndian.PutUint16(room[12:], unix.ETH_P_IP)
	} else {
		binary.BigEndian.PutUint16(room[12:], unix.ETH_P_IPV6)
	}
	writeHeader(room[14:at], src, dst, proto, room[at:at+n], sumAt)
	return at + n
}

// IP makes an IP packet around transport data, with a checksum at the given
// offset of the data.
func IP(src, dst netip.Addr, proto byte, transport []byte, sumAt int) []byte {
	size := 20
	if src.Is6() {
		size = 40
	}
	b := append(make([]byte, size, size+len(transport)), transport...)
	writeHeader(b[:size], src, dst, proto, b[size:], sumAt)
	return b
}

// writeHeader writes an IP header, and the checksum of the transport data.
func writeHeader(h []byte, src, dst netip.Addr, proto byte, transport []byte, sumAt int) {
	clear(h)
	if src.Is4() {
		h[0] = 0x45
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(transport)))
		h[6] = 0x40 // do not fragment
		h[8], h[9] = 64, proto
		s, d := src.As4(), dst.As4()
		copy(h[12:], s[:])
		copy(h[16:], d[:])
		binary.BigEndian.PutUint16(h[10:], checksum(0, h))
	} else {
		h[0] = 0x60
		binary.BigEndian.PutUint16(h[4:], uint16(len(transport)))
		h[6], h[7] = proto, 64
		s, d := src.As16(), dst.As16()
		copy(h[8:], s[:])
		copy(h[24:], d[:])
	}
	addresses := h[12:]
	if src.Is6() {
		addresses = h[8:]
	}
	binary.BigEndian.PutUint16(transport[sumAt:], 0)
	pseudo := uint32(proto) + uint32(len(transport)) + uint32(^checksum(0, addresses))
	binary.BigEndian.PutUint16(transport[sumAt:], checksum(pseudo, transport))
}
