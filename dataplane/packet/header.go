package packet

import "encoding/binary"

// Sizes of fixed headers, in bytes.
const (
	EthernetSize = 14 // IEEE 802.3, without a VLAN tag
	IPv4Size     = 20 // RFC 791, without options
	IPv6Size     = 40 // RFC 8200
	TCPSize      = 20 // RFC 9293, without options
	UDPSize      = 8  // RFC 768
	ICMPSize     = 8  // RFC 792 and RFC 4443: the part that all types share
	ARPSize      = 28 // RFC 826, Ethernet and IPv4
)

// EtherTypes.
const (
	EtherTypeIPv4 = 0x0800
	EtherTypeARP  = 0x0806
	EtherTypeIPv6 = 0x86dd
)

// IP protocol numbers, also IPv6's next headers.
const (
	ProtoICMP     = 1
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoFragment = 44 // RFC 8200, 4.5
	ProtoICMPv6   = 58
)

// TCP flag bits (RFC 9293, 3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Bits of the 16-bit word of the IPv4 header that holds flags and fragment offset.
const (
	ipv4DF       = 0x4000
	ipv4Fragment = 0x3fff // more fragments, or an offset
)

// PutEthernet writes an Ethernet header over the first EthernetSize bytes of b:
//
//	0 destination (6)  6 source (6)  12 EtherType (2)
func PutEthernet(b []byte, dst, src [6]byte, etherType uint16) {
	_ = b[EthernetSize-1]
	copy(b[0:6], dst[:])
	copy(b[6:12], src[:])
	binary.BigEndian.PutUint16(b[12:], etherType)
}
