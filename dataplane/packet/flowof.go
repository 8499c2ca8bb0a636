package packet

import (
	"encoding/binary"
	"math/bits"

	"weir/dataplane/flow"
)

// FlowOf names the flow of a bare TCP or UDP packet that a client sent, at line
// rate: it checks all that Parse checks of such packets, but reads no more than
// the key needs. Everything that is not TCP or UDP is Unsupported. l3 and l4 are
// the offsets of the network and transport headers; k is undefined unless OK.
func FlowOf(b []byte, k *flow.Key) (l3, l4 int, st Status) {
	if len(b) < EthernetSize {
		return 0, 0, Truncated
	}
	l4, st = ipFlow(b[EthernetSize:], binary.LittleEndian.Uint16(b[12:]), k)
	return EthernetSize, EthernetSize + l4, st
}

// ReverseFlowOf is FlowOf for a packet that a server sent: its source is the
// public address.
func ReverseFlowOf(b []byte, k *flow.Key) (l3, l4 int, st Status) {
	l3, l4, st = FlowOf(b, k)
	reverse(k)
	return l3, l4, st
}

// TunnelFlowOf is ReverseFlowOf for the inner packet of an encapsulated frame,
// which stays as it is; the outer headers are not checked beyond what locates
// the inner ones.
func TunnelFlowOf(b []byte, k *flow.Key) (l3, l4 int, st Status) {
	if len(b) < TunnelSize+1 {
		return 0, 0, Truncated
	}
	if b[EthernetSize] != 0x45 || b[EthernetSize+9] != ProtoUDP {
		return 0, 0, NotTunnel
	}
	etherType := uint16(etherIPv4)
	if b[TunnelSize]>>4 == 6 {
		etherType = etherIPv6
	}
	l4, st = ipFlow(b[TunnelSize:], etherType, k)
	reverse(k)
	return TunnelSize, TunnelSize + l4, st
}

// reverse swaps client and VIP.
func reverse(k *flow.Key) {
	w := k.Words()
	w[0], w[1], w[2], w[3] = w[2], w[3], w[0], w[1]
	w[4] = w[4]&^0xffffffff | uint64(bits.RotateLeft32(uint32(w[4]), 16))
}

// EtherTypes as a little-endian load sees them.
const (
	etherIPv4 = EtherTypeIPv4>>8 | EtherTypeIPv4&0xff<<8
	etherIPv6 = EtherTypeIPv6>>8 | EtherTypeIPv6&0xff<<8
)

// ipFlow names the flow of the IP packet p, source as client.
func ipFlow(p []byte, etherType uint16, k *flow.Key) (l4 int, st Status) {
	le := binary.LittleEndian
	w := k.Words()
	var proto uint8
	var total int
	switch etherType {
	case etherIPv4:
		if len(p) < IPv4Size {
			return 0, Truncated
		}
		l4 = IPv4Size
		// Five 32-bit words cannot overflow 64 bits, and a number whose 16-bit
		// halves add up to 0xffff in ones' complement is a multiple of it.
		sum := uint64(le.Uint32(p)) + uint64(le.Uint32(p[4:])) + uint64(le.Uint32(p[8:])) +
			uint64(le.Uint32(p[12:])) + uint64(le.Uint32(p[16:]))
		if p[0] != 0x45 {
			if l4, st = ipv4Options(p); st != OK {
				return 0, st
			}
			sum = Add(0, p[:l4])
		}
		total = int(binary.BigEndian.Uint16(p[2:]))
		if total < l4 {
			return 0, BadLength
		}
		if total > len(p) {
			return 0, Truncated
		}
		if sum%0xffff != 0 {
			return 0, BadChecksum
		}
		if binary.BigEndian.Uint16(p[6:])&ipv4Fragment != 0 {
			return 0, Fragment
		}
		proto = p[9]
		const mapped = 0xffff0000 // the end of ::ffff:0:0/96 in a little-endian word
		w[0], w[1] = 0, uint64(le.Uint32(p[12:]))<<32|mapped
		w[2], w[3] = 0, uint64(le.Uint32(p[16:]))<<32|mapped
	case etherIPv6:
		if len(p) < IPv6Size {
			return 0, Truncated
		}
		if p[0]>>4 != 6 {
			return 0, BadHeader
		}
		l4 = IPv6Size
		total = IPv6Size + int(binary.BigEndian.Uint16(p[4:]))
		if total > len(p) {
			return 0, Truncated
		}
		proto = p[6]
		if proto == ProtoFragment {
			return 0, Fragment
		}
		w[0], w[1] = le.Uint64(p[8:]), le.Uint64(p[16:])
		w[2], w[3] = le.Uint64(p[24:]), le.Uint64(p[32:])
	default:
		return 0, Unsupported
	}
	s := p[l4:total]
	switch proto {
	case ProtoTCP:
		if len(s) < TCPSize {
			return 0, BadLength
		}
		head := int(s[12]>>4) * 4
		if head < TCPSize {
			return 0, BadHeader
		}
		if head > len(s) {
			return 0, BadLength
		}
	case ProtoUDP:
		if len(s) < UDPSize {
			return 0, BadLength
		}
		if n := int(binary.BigEndian.Uint16(s[4:])); n < UDPSize || n > len(s) {
			return 0, BadLength
		}
	default:
		return 0, Unsupported
	}
	// Client port, VIP port and protocol are the key's last word, in this order.
	w[4] = uint64(bits.RotateLeft32(binary.BigEndian.Uint32(s), 16)) | uint64(proto)<<32
	return l4, OK
}

// ipv4Options is the header length of an IPv4 packet whose first byte is not the usual one.
func ipv4Options(p []byte) (int, Status) {
	n := int(p[0]&15) * 4
	if p[0]>>4 != 4 || n < IPv4Size {
		return 0, BadHeader
	}
	if n > len(p) {
		return 0, Truncated
	}
	return n, OK
}
