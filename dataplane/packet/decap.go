package packet

import "encoding/binary"

// Outer is what Decapsulate removed: whom the packet came from and went to.
type Outer struct {
	Src, Dst [4]byte
	SrcPort  uint16
}

// Decapsulate turns an encapsulated frame into the bare one, in place. It
// checks the outer IPv4 header (no options), UDP to the data port, GUE variant
// 1 and that all lengths agree. Afterwards b begins with 14 bytes for an
// Ethernet header, of which only the EtherType is written: Parse and FlowOf
// work; the MAC addresses are stale. The inner packet is not checked beyond its
// version and length. When it fails, b is as it was.
func Decapsulate(b *Buf) (Outer, Status) {
	var o Outer
	if b.Len < TunnelSize+IPv4Size {
		return o, Truncated
	}
	h := (*[TunnelSize + IPv4Size]byte)(b.Pointer())
	le, be := binary.LittleEndian, binary.BigEndian
	if be.Uint16(h[12:]) != EtherTypeIPv4 {
		return o, Unsupported
	}
	if h[14] != 0x45 {
		return o, BadHeader
	}
	total := be.Uint16(h[16:])
	if total < IPv4Size+UDPSize+IPv4Size {
		return o, BadLength
	}
	if uint32(total)+EthernetSize > uint32(b.Len) {
		return o, Truncated
	}
	sum := uint64(le.Uint32(h[14:])) + uint64(le.Uint32(h[18:])) + uint64(le.Uint32(h[22:])) +
		uint64(le.Uint32(h[26:])) + uint64(le.Uint32(h[30:]))
	if sum%0xffff != 0 {
		return o, BadChecksum
	}
	if be.Uint16(h[20:])&ipv4Fragment != 0 {
		return o, Fragment
	}
	if h[23] != ProtoUDP || be.Uint16(h[36:]) != DataPort {
		return o, NotTunnel
	}
	if be.Uint16(h[38:]) != total-IPv4Size {
		return o, BadLength
	}
	inner := total - IPv4Size - UDPSize
	etherType := uint16(EtherTypeIPv4)
	stated := uint32(be.Uint16(h[44:]))
	switch h[42] >> 4 {
	case 4:
	case 6:
		etherType = EtherTypeIPv6
		stated = IPv6Size + uint32(be.Uint16(h[46:]))
	default:
		return o, NotTunnel
	}
	if stated != uint32(inner) {
		return o, BadLength
	}
	if be.Uint16(h[40:]) != 0 && !outerChecksum(b, total-IPv4Size) {
		return o, BadChecksum
	}
	o = Outer{Src: [4]byte(h[26:30]), Dst: [4]byte(h[30:34]), SrcPort: be.Uint16(h[34:])}
	be.PutUint16(h[40:], etherType)
	b.Tail += b.Len - EthernetSize - total
	b.Addr += TunnelOverhead
	b.Head += TunnelOverhead
	b.Len = EthernetSize + inner
	return o, OK
}

// outerChecksum verifies a UDP checksum that a sender set though it need not.
func outerChecksum(b *Buf, n uint16) bool {
	f := b.Bytes()
	u := f[EthernetSize+IPv4Size : EthernetSize+IPv4Size+int(n)]
	return Fold(Add(pseudo(f[26:34], ProtoUDP, int(n)), u)) == 0xffff
}
