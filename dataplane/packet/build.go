package packet

import "encoding/binary"

// defaultTTL is the TTL or hop limit of what a node itself sends.
const defaultTTL = 64

// Is4 reports whether a is an IPv4 address in mapped form.
func Is4(a *[16]byte) bool {
	return binary.LittleEndian.Uint64(a[:8]) == 0 && binary.LittleEndian.Uint32(a[8:]) == 0xffff0000
}

// IPSpec is the network part of a packet to build. With both addresses in
// IPv4-mapped form it is IPv4, else IPv6.
type IPSpec struct {
	DstMAC, SrcMAC [6]byte
	Src, Dst       [16]byte
	TTL            uint8 // or hop limit; 0 means 64
	TOS            uint8 // DSCP and ECN
}

func (s *IPSpec) is4() bool { return Is4(&s.Src) && Is4(&s.Dst) }

// headSize is the size of the Ethernet and IP headers.
func (s *IPSpec) headSize() int {
	if s.is4() {
		return EthernetSize + IPv4Size
	}
	return EthernetSize + IPv6Size
}

// put writes the Ethernet and IP headers of a packet that carries n bytes of
// proto, and returns the sum of the pseudo header. b has room for them.
func (s *IPSpec) put(b []byte, proto uint8, n int) uint64 {
	ttl := s.TTL
	if ttl == 0 {
		ttl = defaultTTL
	}
	if s.is4() {
		PutEthernet(b, s.DstMAC, s.SrcMAC, EtherTypeIPv4)
		p := b[EthernetSize : EthernetSize+IPv4Size]
		PutIPv4(p, [4]byte(s.Src[12:]), [4]byte(s.Dst[12:]), proto, ttl, s.TOS, uint16(IPv4Size+n))
		return pseudo(p[12:20], proto, n)
	}
	PutEthernet(b, s.DstMAC, s.SrcMAC, EtherTypeIPv6)
	p := b[EthernetSize : EthernetSize+IPv6Size]
	PutIPv6(p, s.Src, s.Dst, proto, ttl, s.TOS, uint16(n))
	return pseudo(p[8:40], proto, n)
}

// PutIPv4 writes an IPv4 header without options, with checksum, over the first
// IPv4Size bytes of b. total is the length of header and payload. DF is set, so
// the identification may be zero (RFC 6864, 4.1).
func PutIPv4(b []byte, src, dst [4]byte, proto, ttl, tos uint8, total uint16) {
	_ = b[IPv4Size-1]
	b[0], b[1] = 0x45, tos
	binary.BigEndian.PutUint16(b[2:], total)
	binary.BigEndian.PutUint16(b[4:], 0)
	binary.BigEndian.PutUint16(b[6:], ipv4DF)
	b[8], b[9] = ttl, proto
	binary.BigEndian.PutUint16(b[10:], 0)
	copy(b[12:16], src[:])
	copy(b[16:20], dst[:])
	binary.BigEndian.PutUint16(b[10:], Checksum(b[:IPv4Size]))
}

// PutIPv6 writes an IPv6 header over the first IPv6Size bytes of b. payload is
// the length of what follows it. The flow label is zero.
func PutIPv6(b []byte, src, dst [16]byte, next, hops, class uint8, payload uint16) {
	_ = b[IPv6Size-1]
	binary.BigEndian.PutUint32(b, 6<<28|uint32(class)<<20)
	binary.BigEndian.PutUint16(b[4:], payload)
	b[6], b[7] = next, hops
	copy(b[8:24], src[:])
	copy(b[24:40], dst[:])
}

// UDPSpec is a UDP datagram to build.
type UDPSpec struct {
	IPSpec
	SrcPort, DstPort uint16
	Payload          []byte
}

// BuildUDP writes a whole frame into dst and returns its length, or 0 when it
// does not fit into dst or into IP's length field. Payload may already stand
// in dst where it belongs.
func BuildUDP(dst []byte, s *UDPSpec) int {
	head := s.headSize()
	n := UDPSize + len(s.Payload)
	if head+n > len(dst) || head+n > 0xffff {
		return 0
	}
	acc := s.put(dst, ProtoUDP, n)
	u := dst[head : head+n]
	copy(u[UDPSize:], s.Payload)
	binary.BigEndian.PutUint16(u, s.SrcPort)
	binary.BigEndian.PutUint16(u[2:], s.DstPort)
	binary.BigEndian.PutUint16(u[4:], uint16(n))
	binary.BigEndian.PutUint16(u[6:], 0)
	sum := ^Fold(Add(acc, u))
	if sum == 0 {
		sum = 0xffff // zero would mean that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(u[6:], sum)
	return head + n
}
