package packet

import "encoding/binary"

// The extents of headers, checked: what Parse and FlowOf must agree on.

// ipv4Extent is the length of the header and of the whole packet that p
// begins with, whose header checksum is right.
func ipv4Extent(p []byte) (head, total int, st Status) {
	if len(p) < IPv4Size {
		return 0, 0, Truncated
	}
	head = int(p[0]&15) * 4
	if p[0]>>4 != 4 || head < IPv4Size {
		return 0, 0, BadHeader
	}
	if head > len(p) {
		return 0, 0, Truncated
	}
	total = int(binary.BigEndian.Uint16(p[2:]))
	if total < head {
		return 0, 0, BadLength
	}
	if total > len(p) {
		return 0, 0, Truncated
	}
	if Fold(Add(0, p[:head])) != 0xffff {
		return 0, 0, BadChecksum
	}
	return head, total, OK
}

// ipv6Extent is the length of the whole packet that p begins with.
func ipv6Extent(p []byte) (total int, st Status) {
	if len(p) < IPv6Size {
		return 0, Truncated
	}
	if p[0]>>4 != 6 {
		return 0, BadHeader
	}
	total = IPv6Size + int(binary.BigEndian.Uint16(p[4:]))
	if total > len(p) {
		return 0, Truncated
	}
	return total, OK
}

// tcpExtent is the length of the header, options included, of the segment s.
func tcpExtent(s []byte) (head int, st Status) {
	if len(s) < TCPSize {
		return 0, BadLength
	}
	head = int(s[12]>>4) * 4
	if head < TCPSize {
		return 0, BadHeader
	}
	if head > len(s) {
		return 0, BadLength
	}
	return head, OK
}

// udpExtent is the length of the datagram that s begins with. It may be less
// than what IP carries (RFC 9868 puts options there), never more.
func udpExtent(s []byte) (total int, st Status) {
	if len(s) < UDPSize {
		return 0, BadLength
	}
	total = int(binary.BigEndian.Uint16(s[4:]))
	if total < UDPSize || total > len(s) {
		return 0, BadLength
	}
	return total, OK
}
