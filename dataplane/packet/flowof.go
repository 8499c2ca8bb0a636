package packet

import (
	"encoding/binary"
	"math/bits"

	"weir/dataplane/flow"
)

// FlowOf names the flow of a bare TCP or UDP packet that a client sent, at line
// rate: it checks all that Parse checks of such packets, but reads no more than
// the key needs. Everything that is not TCP or UDP is Unsupported. l3 and l4 are
// the offsets of the network and transport headers; they and k are undefined
// unless OK.
func FlowOf(b []byte, k *flow.Key) (l3, l4 int, st Status) {
	if commonFlow(b, k) {
		return EthernetSize, EthernetSize + IPv4Size, OK
	}
	if len(b) < EthernetSize {
		return 0, 0, Truncated
	}
	l4, st = ipFlow(b[EthernetSize:], binary.LittleEndian.Uint16(b[12:]), k)
	return EthernetSize, EthernetSize + l4, st
}

// commonFlow is ipFlow for sound TCP over IPv4 without IP options, at half its
// cost: every offset is a constant. It decides nothing about other packets.
func commonFlow(b []byte, k *flow.Key) bool {
	if len(b) < EthernetSize+IPv4Size+TCPSize {
		return false
	}
	h := (*[EthernetSize + IPv4Size + TCPSize]byte)(b)
	le, be := binary.LittleEndian, binary.BigEndian
	total := int(be.Uint16(h[16:]))
	head := int(h[46] >> 4)
	if le.Uint16(h[12:]) != etherIPv4 || h[14] != 0x45 || h[23] != ProtoTCP || be.Uint16(h[20:])&ipv4Fragment != 0 ||
		total > len(b)-EthernetSize || head < TCPSize/4 || head*4 > total-IPv4Size {
		return false
	}
	addresses := le.Uint64(h[26:])
	// Five 32-bit words cannot overflow 64 bits, and a number whose 16-bit
	// halves add up to 0xffff in ones' complement is a multiple of it.
	if sum := uint64(le.Uint32(h[14:])) + uint64(le.Uint32(h[18:])) + uint64(le.Uint32(h[22:])) +
		addresses>>32 + addresses&0xffffffff; sum%0xffff != 0 {
		return false
	}
	w := k.Words()
	w[0], w[1] = 0, addresses<<32|mapped4
	w[2], w[3] = 0, addresses&^0xffffffff|mapped4
	w[4] = lastWord(be.Uint32(h[34:]), ProtoTCP)
	return true
}

// mapped4 is the end of ::ffff:0:0/96 in a little-endian word, below the IPv4 address.
const mapped4 = 0xffff0000

// lastWord is the last word of a flow key: client port, VIP port, protocol, in
// this order. ports are source and destination as they stand in the header.
func lastWord(ports uint32, proto uint8) uint64 {
	return uint64(bits.RotateLeft32(ports, 16)) | uint64(proto)<<32
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
		if l4, total, st = ipv4Extent(p); st != OK {
			return 0, st
		}
		if binary.BigEndian.Uint16(p[6:])&ipv4Fragment != 0 {
			return 0, Fragment
		}
		proto = p[9]
		w[0], w[1] = 0, uint64(le.Uint32(p[12:]))<<32|mapped4
		w[2], w[3] = 0, uint64(le.Uint32(p[16:]))<<32|mapped4
	case etherIPv6:
		if total, st = ipv6Extent(p); st != OK {
			return 0, st
		}
		l4, proto = IPv6Size, p[6]
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
		_, st = tcpExtent(s)
	case ProtoUDP:
		_, st = udpExtent(s)
	default:
		st = Unsupported
	}
	if st != OK {
		return 0, st
	}
	w[4] = lastWord(binary.BigEndian.Uint32(s), proto)
	return l4, OK
}
