package capture

import (
	"encoding/binary"
	"net/netip"

	"weir/dataplane/packet"
)

const (
	vlanSize  = 4
	vlanType  = 0x8100 // IEEE 802.1Q
	guePort   = 6080   // GUE variant 1: the IP packet directly in UDP
	arpSender = 14     // offset of the sender's IPv4 address in an ARP packet (RFC 826)
	arpTarget = 24
)

// network is what follows the Ethernet header, as far as the frame was kept.
func network(frame []byte) (etherType uint16, rest []byte) {
	if len(frame) < packet.EthernetSize {
		return 0, nil
	}
	etherType, rest = binary.BigEndian.Uint16(frame[12:]), frame[packet.EthernetSize:]
	if etherType == vlanType && len(rest) >= vlanSize {
		etherType, rest = binary.BigEndian.Uint16(rest[2:]), rest[vlanSize:]
	}
	return etherType, rest
}

// ip is an IP header and what follows it. It is a value, so that a filter
// allocates nothing.
type ip struct {
	src, dst netip.Addr
	proto    uint8
	later    bool // a fragment that is not the first: no ports
	length   int  // of the payload on the wire
	payload  []byte
}

// parseIP reads either version; false: it is none, or its header is cut off.
func parseIP(b []byte) (h ip, ok bool) {
	if len(b) == 0 {
		return h, false
	}
	switch b[0] >> 4 {
	case 4:
		size := int(b[0]&15) * 4
		if size < packet.IPv4Size || len(b) < size {
			return h, false
		}
		h.src, h.dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
		h.proto, h.later = b[9], binary.BigEndian.Uint16(b[6:])&0x1fff != 0
		h.length, h.payload = int(binary.BigEndian.Uint16(b[2:]))-size, b[size:]
	case 6:
		if len(b) < packet.IPv6Size {
			return h, false
		}
		h.src, h.dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
		h.proto, h.length, h.payload = b[6], int(binary.BigEndian.Uint16(b[4:])), b[packet.IPv6Size:]
		if h.proto == packet.ProtoFragment && len(h.payload) >= 8 {
			h.proto, h.later = h.payload[0], binary.BigEndian.Uint16(h.payload[2:])&0xfff8 != 0
			h.length, h.payload = h.length-8, h.payload[8:]
		}
	default:
		return h, false
	}
	h.length = max(0, h.length)
	h.payload = h.payload[:min(len(h.payload), h.length)] // without Ethernet's padding
	return h, true
}

// ports of TCP and UDP; 0, 0: there are none.
func (h *ip) ports() (src, dst uint16) {
	if h.later || h.proto != packet.ProtoTCP && h.proto != packet.ProtoUDP || len(h.payload) < 4 {
		return 0, 0
	}
	return binary.BigEndian.Uint16(h.payload), binary.BigEndian.Uint16(h.payload[2:])
}

// inner is the packet in an encapsulation.
func (h *ip) inner() (in ip, ok bool) {
	if _, dst := h.ports(); h.proto != packet.ProtoUDP || dst != guePort || len(h.payload) < packet.UDPSize {
		return in, false
	}
	return parseIP(h.payload[packet.UDPSize:])
}
