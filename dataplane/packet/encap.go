package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// DataPort is the UDP port of encapsulated packets (contract.md).
const DataPort = 6080

// TunnelSize is the size of the outer headers of an encapsulated packet; the
// inner IP packet follows directly (GUE variant 1, draft-ietf-intarea-gue, 4):
//
//	0 Ethernet (14)  14 IPv4 (20)  34 UDP (8)  42 inner IPv4 or IPv6
const TunnelSize = EthernetSize + IPv4Size + UDPSize

// TunnelOverhead is what encapsulation adds to an IP packet, in bytes.
const TunnelOverhead = IPv4Size + UDPSize

// EncapTarget holds the outer headers towards one receiver, made once, so that
// a packet costs one copy of 42 bytes and three 16-bit stores. The fabric is
// IPv4; what travels inside may be either family.
type EncapTarget struct {
	head [TunnelSize]byte
	sum  uint32 // of the IPv4 header, total length and checksum zero, big-endian
}

// NewEncapTarget makes the outer headers from src to dst, the next hop being
// dstMAC. TTL is 64 and DF is set; TOS is 0, so that the fabric never marks
// congestion, which Decapsulate would have to carry inwards (RFC 6040, 4.3).
func NewEncapTarget(dstMAC, srcMAC [6]byte, dst, src netip.Addr) (EncapTarget, error) {
	var t EncapTarget
	dst, src = dst.Unmap(), src.Unmap()
	if !dst.Is4() || !src.Is4() {
		return t, fmt.Errorf("tunnel from %v to %v: the fabric is IPv4 only", src, dst)
	}
	PutEthernet(t.head[:], dstMAC, srcMAC, EtherTypeIPv4)
	p := t.head[EthernetSize:]
	PutIPv4(p, src.As4(), dst.As4(), ProtoUDP, defaultTTL, 0, 0)
	binary.BigEndian.PutUint16(p[10:], 0)
	t.sum = uint32(Fold(Add(0, p[:IPv4Size])))
	return t, nil
}

// put writes the outer headers over h of a datagram of n bytes, UDP header included.
func (t *EncapTarget) put(h *[TunnelSize]byte, srcPort, dstPort uint16, n uint16) {
	total := n + IPv4Size
	// One word is added to a precomputed sum, RFC 1624 without the subtraction.
	sum := t.sum + uint32(total)
	sum = sum>>16 + sum&0xffff
	*h = t.head
	binary.BigEndian.PutUint16(h[16:], total)
	binary.BigEndian.PutUint16(h[24:], ^uint16(sum))
	binary.BigEndian.PutUint32(h[34:], uint32(srcPort)<<16|uint32(dstPort))
	binary.BigEndian.PutUint32(h[38:], uint32(n)<<16) // checksum 0: the inner packet has its own
}

// Encapsulate turns the bare frame b, Ethernet and IP, into an encapsulated
// one towards t, in place: 28 bytes of head room go, link padding behind the
// inner packet goes too. It trusts that b passed FlowOf or Parse as far as the
// inner length is concerned, and fails with Truncated or BadLength otherwise,
// with NoRoom without head room; b is then as it was. The caller compares b.Len
// with the fabric's MTU.
func Encapsulate(b *Buf, t *EncapTarget, srcPort uint16) Status {
	if b.Len < EthernetSize+IPv4Size {
		return Truncated
	}
	if b.Head < TunnelOverhead {
		return NoRoom
	}
	p := (*[IPv4Size]byte)(b.At(EthernetSize))
	inner := uint32(binary.BigEndian.Uint16(p[2:]))
	if p[0]>>4 == 6 {
		inner = IPv6Size + uint32(binary.BigEndian.Uint16(p[4:]))
	}
	padding := uint32(b.Len) - EthernetSize - inner
	if padding > uint32(b.Len) || inner > 0xffff-TunnelSize { // the first: below zero
		return BadLength
	}
	b.Addr -= TunnelOverhead
	b.Head -= TunnelOverhead
	b.Len = TunnelSize + uint16(inner)
	b.Tail += uint16(padding)
	t.put((*[TunnelSize]byte)(b.Pointer()), srcPort, DataPort, UDPSize+uint16(inner))
	return OK
}

// PrependUDP makes the payload in b a UDP datagram towards t: the headers of a
// control datagram, whose own tag protects it better than a checksum.
func PrependUDP(b *Buf, t *EncapTarget, srcPort, dstPort uint16) Status {
	if b.Head < TunnelSize {
		return NoRoom
	}
	if b.Len > 0xffff-TunnelSize {
		return BadLength
	}
	n := UDPSize + b.Len
	b.Prepend(TunnelSize)
	t.put((*[TunnelSize]byte)(b.Pointer()), srcPort, dstPort, n)
	return OK
}
