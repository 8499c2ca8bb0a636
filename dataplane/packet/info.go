package packet

import (
	"encoding/binary"

	"weir/dataplane/flow"
)

// Info is what Parse read from a frame. Offsets are in bytes from the frame's
// beginning, numbers in host order. Fields of a layer that the frame does not
// have, or that parsing did not reach, are zero.
type Info struct {
	Src, Dst  [16]byte // IPv4 addresses are mapped (::ffff:a.b.c.d), as in flow.Key
	Seq, Ack  uint32
	EtherType uint16
	L3        uint16 // network header, or ARP message
	L4        uint16 // transport header
	Payload   uint16 // after the transport header
	End       uint16 // after the last byte of payload; link padding and what follows a UDP datagram lie beyond
	L3Len     uint16 // network header and all that it carries; IPv4's total length
	SrcPort   uint16
	DstPort   uint16
	Window    uint16 // unscaled
	IsV6      bool
	Proto     uint8 // protocol number; for IPv6 the next header
	TTL       uint8 // or hop limit
	TOS       uint8 // DSCP in the upper six bits, ECN in the lower two
	TCPFlags  uint8
	ICMPType  uint8
	ICMPCode  uint8
}

// PayloadLen is the number of payload bytes of the segment or datagram.
func (in *Info) PayloadLen() int { return int(in.End) - int(in.Payload) }

// SegmentLen is the length of a TCP segment in sequence numbers: payload, SYN and FIN (RFC 9293, 3.4).
func (in *Info) SegmentLen() uint32 {
	n := uint32(in.PayloadLen())
	if in.TCPFlags&SYN != 0 {
		n++
	}
	if in.TCPFlags&FIN != 0 {
		n++
	}
	return n
}

// Options is the option part of the TCP header of b, the frame that was parsed; nil when it has none.
func (in *Info) Options(b []byte) []byte {
	from, to := int(in.L4)+TCPSize, int(in.Payload)
	if in.Proto != ProtoTCP || from >= to || to > len(b) {
		return nil
	}
	return b[from:to]
}

// Key is the flow of a packet that a client sent.
func (in *Info) Key(k *flow.Key) {
	*k = flow.Key{Client: in.Src, VIP: in.Dst, ClientPort: in.SrcPort, VIPPort: in.DstPort, Proto: in.Proto}
}

// ReverseKey is the flow of a packet that a server sent.
func (in *Info) ReverseKey(k *flow.Key) {
	*k = flow.Key{Client: in.Dst, VIP: in.Src, ClientPort: in.DstPort, VIPPort: in.SrcPort, Proto: in.Proto}
}

// addresses are source and destination as they stand in the header.
func (in *Info) addresses(b []byte) []byte {
	l3 := int(in.L3)
	if in.IsV6 {
		return b[l3+8 : l3+40]
	}
	return b[l3+12 : l3+20]
}

// segment is the transport header and all behind it, and the sum of its
// pseudo header; false when in does not describe a segment of b.
func (in *Info) segment(b []byte, proto uint8) ([]byte, uint64, bool) {
	l3, l4, end := int(in.L3), int(in.L4), int(in.End)
	head := IPv4Size
	if in.IsV6 {
		head = IPv6Size
	}
	if in.Proto != proto || l3+head > l4 || l4 >= end || end > len(b) {
		return nil, 0, false
	}
	return b[l4:end], pseudo(in.addresses(b), proto, end-l4), true
}

// VerifyTCP reports whether the TCP checksum of b, which Parse described in in, is right.
func VerifyTCP(b []byte, in *Info) bool {
	s, acc, ok := in.segment(b, ProtoTCP)
	return ok && Fold(Add(acc, s)) == 0xffff
}

// VerifyUDP reports whether the UDP checksum of b is right. Over IPv4 a sender
// may leave it out (RFC 768); over IPv6 it may not (RFC 8200, 8.1).
func VerifyUDP(b []byte, in *Info) bool {
	s, acc, ok := in.segment(b, ProtoUDP)
	if !ok || len(s) < UDPSize {
		return false
	}
	if binary.BigEndian.Uint16(s[6:]) == 0 {
		return !in.IsV6
	}
	return Fold(Add(acc, s)) == 0xffff
}

// VerifyICMP reports whether the checksum of an ICMP or ICMPv6 message is
// right; only the latter covers a pseudo header (RFC 4443, 2.3).
func VerifyICMP(b []byte, in *Info) bool {
	if in.IsV6 {
		s, acc, ok := in.segment(b, ProtoICMPv6)
		return ok && Fold(Add(acc, s)) == 0xffff
	}
	s, _, ok := in.segment(b, ProtoICMP)
	return ok && Fold(Add(0, s)) == 0xffff
}
