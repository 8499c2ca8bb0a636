package packet

import (
	"encoding/binary"
	"math"
)

// Parse reads the headers of an Ethernet frame. Whatever it returns, the
// offsets in in lie inside b and never decrease from layer to layer. Bytes
// after the length that IP states are link padding and ignored. It verifies
// the IPv4 header checksum; VerifyTCP, VerifyUDP and VerifyICMP do the rest.
func Parse(b []byte, in *Info) Status {
	*in = Info{}
	if len(b) < EthernetSize {
		return Truncated
	}
	if len(b) > math.MaxUint16 {
		return BadLength // no frame that a Buf can hold
	}
	in.EtherType = binary.BigEndian.Uint16(b[12:])
	in.L3 = EthernetSize
	switch in.EtherType {
	case EtherTypeIPv4:
		return parseIPv4(b, in)
	case EtherTypeIPv6:
		return parseIPv6(b, in)
	case EtherTypeARP:
		return parseARP(b, in)
	}
	return Unsupported
}

// parseARP accepts the one form in use: Ethernet and IPv4 (RFC 826).
//
//	0 hardware type (2) = 1   2 protocol type (2) = 0x0800
//	4 hardware size (1) = 6   5 protocol size (1) = 4   6 operation (2)
//	8 sender MAC (6)  14 sender IPv4 (4)  18 target MAC (6)  24 target IPv4 (4)
func parseARP(b []byte, in *Info) Status {
	p := b[in.L3:]
	if len(p) < ARPSize {
		return Truncated
	}
	if binary.BigEndian.Uint64(p)>>16 != 0x0001_0800_06_04 {
		return Unsupported
	}
	in.L3Len = ARPSize
	in.End = in.L3 + ARPSize
	in.Src, in.Dst = mapped(p[14:]), mapped(p[24:])
	return OK
}

// parseIPv4 reads RFC 791:
//
//	 0 version (4 bits), header length in words (4 bits)  1 TOS (1)  2 total length (2)
//	 4 identification (2)  6 flags (3 bits), fragment offset (13 bits)
//	 8 TTL (1)  9 protocol (1)  10 header checksum (2)
//	12 source (4)  16 destination (4)  20 options
func parseIPv4(b []byte, in *Info) Status {
	p := b[in.L3:]
	head, total, st := ipv4Extent(p)
	if st != OK {
		return st
	}
	in.TOS, in.TTL, in.Proto = p[1], p[8], p[9]
	in.L3Len = uint16(total)
	in.L4 = in.L3 + uint16(head)
	in.Src, in.Dst = mapped(p[12:]), mapped(p[16:])
	if binary.BigEndian.Uint16(p[6:])&ipv4Fragment != 0 {
		return Fragment
	}
	if in.Proto == ProtoICMPv6 {
		return Unsupported
	}
	return parseTransport(p[head:total], in)
}

// parseIPv6 reads RFC 8200, without extension headers:
//
//	0 version (4 bits), traffic class (8 bits), flow label (20 bits)
//	4 payload length (2)  6 next header (1)  7 hop limit (1)
//	8 source (16)  24 destination (16)
func parseIPv6(b []byte, in *Info) Status {
	p := b[in.L3:]
	total, st := ipv6Extent(p)
	if st != OK {
		return st
	}
	in.IsV6 = true
	in.TOS = uint8(binary.BigEndian.Uint16(p) >> 4)
	in.Proto, in.TTL = p[6], p[7]
	in.L3Len = uint16(total)
	in.L4 = in.L3 + IPv6Size
	copy(in.Src[:], p[8:24])
	copy(in.Dst[:], p[24:40])
	switch in.Proto {
	case ProtoFragment:
		return Fragment
	case ProtoICMP:
		return Unsupported
	}
	return parseTransport(p[IPv6Size:total], in)
}

// parseTransport reads what IP carries; s is all of it.
func parseTransport(s []byte, in *Info) Status {
	switch in.Proto {
	case ProtoTCP:
		return parseTCP(s, in)
	case ProtoUDP:
		return parseUDP(s, in)
	case ProtoICMP, ProtoICMPv6:
		if len(s) < ICMPSize {
			return BadLength
		}
		in.ICMPType, in.ICMPCode = s[0], s[1]
		in.Payload = in.L4 + ICMPSize
		in.End = in.L3 + in.L3Len
		return OK
	}
	return Unsupported
}

// parseTCP reads RFC 9293, 3.1:
//
//	 0 source port (2)  2 destination port (2)  4 sequence (4)  8 acknowledgement (4)
//	12 data offset in words (4 bits), reserved (4 bits)  13 flags (1)  14 window (2)
//	16 checksum (2)  18 urgent pointer (2)  20 options
func parseTCP(s []byte, in *Info) Status {
	head, st := tcpExtent(s)
	if st != OK {
		return st
	}
	in.SrcPort = binary.BigEndian.Uint16(s)
	in.DstPort = binary.BigEndian.Uint16(s[2:])
	in.Seq = binary.BigEndian.Uint32(s[4:])
	in.Ack = binary.BigEndian.Uint32(s[8:])
	in.TCPFlags = s[13]
	in.Window = binary.BigEndian.Uint16(s[14:])
	in.Payload = in.L4 + uint16(head)
	in.End = in.L3 + in.L3Len
	return OK
}

// parseUDP reads RFC 768:
//
//	0 source port (2)  2 destination port (2)  4 length (2)  6 checksum (2)
func parseUDP(s []byte, in *Info) Status {
	n, st := udpExtent(s)
	if st != OK {
		return st
	}
	in.SrcPort = binary.BigEndian.Uint16(s)
	in.DstPort = binary.BigEndian.Uint16(s[2:])
	in.Payload = in.L4 + UDPSize
	in.End = in.L4 + uint16(n)
	return OK
}

// mapped is the IPv4 address at the beginning of b in IPv6 form (RFC 4291, 2.5.5.2).
func mapped(b []byte) [16]byte {
	_ = b[3]
	return [16]byte{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}
