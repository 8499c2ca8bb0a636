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
// lengths and checksums are right.
func (p Path) Write(room []byte, s Segment) int {
	tcp := make([]byte, 20, 60+len(s.Payload))
	binary.BigEndian.PutUint16(tcp[0:], s.Src.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.Dst.Port())
	binary.BigEndian.PutUint32(tcp[4:], s.Seq)
	binary.BigEndian.PutUint32(tcp[8:], s.Ack)
	tcp[12] = byte(20+len(s.Options)) << 2
	tcp[13] = s.Flags
	binary.BigEndian.PutUint16(tcp[14:], 64240)
	tcp = append(append(tcp, s.Options...), s.Payload...)
	return p.writeIP(room, s.Src.Addr(), s.Dst.Addr(), unix.IPPROTO_TCP, tcp, 16)
}

// WriteUDP puts a frame with a UDP datagram into room.
func (p Path) WriteUDP(room []byte, src, dst netip.AddrPort, payload []byte) int {
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp[0:], src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	return p.writeIP(room, src.Addr(), dst.Addr(), unix.IPPROTO_UDP, append(udp, payload...), 6)
}

// writeIP writes Ethernet and IP around the transport data, and the transport
// checksum at the given offset of it.
func (p Path) writeIP(room []byte, src, dst netip.Addr, proto byte, transport []byte, sumAt int) int {
	packet := IP(src, dst, proto, transport, sumAt)
	copy(room[0:], p.To)
	copy(room[6:], p.From)
	if src.Is4() {
		binary.BigEndian.PutUint16(room[12:], unix.ETH_P_IP)
	} else {
		binary.BigEndian.PutUint16(room[12:], unix.ETH_P_IPV6)
	}
	return 14 + copy(room[14:], packet)
}

// IP makes an IP packet around transport data, whose checksum it writes at the
// given offset.
func IP(src, dst netip.Addr, proto byte, transport []byte, sumAt int) []byte {
	pseudo := append(append([]byte{}, src.AsSlice()...), dst.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(transport)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(proto))
	binary.BigEndian.PutUint16(transport[sumAt:], 0)
	binary.BigEndian.PutUint16(transport[sumAt:], checksum(uint32(^checksum(0, pseudo)), transport))
	if src.Is4() {
		h := make([]byte, 20, 20+len(transport))
		h[0] = 0x45
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(transport)))
		h[6] = 0x40 // do not fragment
		h[8], h[9] = 64, proto
		copy(h[12:], src.AsSlice())
		copy(h[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(h[10:], checksum(0, h))
		return append(h, transport...)
	}
	h := make([]byte, 40, 40+len(transport))
	h[0] = 0x60
	binary.BigEndian.PutUint16(h[4:], uint16(len(transport)))
	h[6], h[7] = proto, 64
	copy(h[8:], src.AsSlice())
	copy(h[24:], dst.AsSlice())
	return append(h, transport...)
}
