package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"weir/dataplane/packet"
)

// Line tells of a frame in one line of ASCII.
func Line(at time.Time, d Direction, length int, frame []byte) string {
	way := map[Direction]string{In: "in ", Out: "out"}[d]
	return fmt.Sprintf("%s %s %s", at.UTC().Format("15:04:05.000000"), way, about(length, frame))
}

func about(length int, frame []byte) string {
	kind, rest := network(frame)
	switch kind {
	case packet.EtherTypeARP:
		return arp(rest)
	case packet.EtherTypeIPv4, packet.EtherTypeIPv6:
		if h, ok := parseIP(rest); ok {
			return aboutIP(&h)
		}
	}
	if len(frame) < packet.EthernetSize {
		return fmt.Sprintf("%d bytes", length)
	}
	return fmt.Sprintf("%s > %s ethertype %#04x, %d bytes", net.HardwareAddr(frame[6:12]), net.HardwareAddr(frame[:6]), kind, length)
}

func arp(b []byte) string {
	if len(b) < packet.ARPSize {
		return "ARP, cut off"
	}
	from, to := netip.AddrFrom4([4]byte(b[arpSender:])), netip.AddrFrom4([4]byte(b[arpTarget:]))
	if binary.BigEndian.Uint16(b[6:]) == 1 {
		return fmt.Sprintf("ARP who has %s? tell %s", to, from)
	}
	return fmt.Sprintf("ARP %s is at %s", from, net.HardwareAddr(b[8:14]))
}

// services are the datagrams between nodes and servers, by UDP port.
var services = map[uint16]string{6081: "tracker message", 6082: "publication of a module", 6083: "publication of a node", 6084: "health ping", 6085: "gossip"}

func aboutIP(h *ip) string {
	src, dst := h.ports()
	switch {
	case h.later:
		return fmt.Sprintf("%s > %s fragment, %d bytes", h.src, h.dst, h.length)
	case h.proto == packet.ProtoTCP && len(h.payload) >= packet.TCPSize:
		return fmt.Sprintf("%s > %s %s", endpoint(h.src, src), endpoint(h.dst, dst), tcp(h))
	case h.proto == packet.ProtoUDP && len(h.payload) >= packet.UDPSize:
		if in, ok := h.inner(); ok {
			return fmt.Sprintf("%s > %s GUE [%s]", h.src, h.dst, aboutIP(&in))
		}
		what, known := services[dst]
		if !known {
			what = "UDP"
		}
		return fmt.Sprintf("%s > %s %s, %d bytes", endpoint(h.src, src), endpoint(h.dst, dst), what, h.length-packet.UDPSize)
	case (h.proto == packet.ProtoICMP || h.proto == packet.ProtoICMPv6) && len(h.payload) >= packet.ICMPSize:
		return fmt.Sprintf("%s > %s %s", h.src, h.dst, icmp(h))
	}
	return fmt.Sprintf("%s > %s protocol %d, %d bytes", h.src, h.dst, h.proto, h.length)
}

func endpoint(a netip.Addr, port uint16) string { return netip.AddrPortFrom(a, port).String() }

// flagNames are those of TCP from bit 0 on.
var flagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}

func tcp(h *ip) string {
	b := h.payload
	var flags []string
	for i, name := range flagNames {
		if b[13]&(1<<i) != 0 {
			flags = append(flags, name)
		}
	}
	data := max(0, h.length-int(b[12]>>4)*4)
	s := fmt.Sprintf("TCP %s seq %d", strings.Join(flags, ","), binary.BigEndian.Uint32(b[4:]))
	if b[13]&packet.ACK != 0 {
		s += fmt.Sprintf(" ack %d", binary.BigEndian.Uint32(b[8:]))
	}
	return s + fmt.Sprintf(" win %d, %d bytes", binary.BigEndian.Uint16(b[14:]), data)
}

// icmpNames are by protocol and type (RFC 792, 4443, 4861).
var icmpNames = map[[2]uint8]string{
	{packet.ProtoICMP, 0}: "echo reply", {packet.ProtoICMP, 3}: "unreachable", {packet.ProtoICMP, 8}: "echo request", {packet.ProtoICMP, 11}: "time exceeded",
	{packet.ProtoICMPv6, 1}: "unreachable", {packet.ProtoICMPv6, 2}: "packet too big", {packet.ProtoICMPv6, 3}: "time exceeded",
	{packet.ProtoICMPv6, 128}: "echo request", {packet.ProtoICMPv6, 129}: "echo reply", {packet.ProtoICMPv6, 133}: "router solicitation",
	{packet.ProtoICMPv6, 134}: "router advertisement", {packet.ProtoICMPv6, 135}: "neighbour solicitation", {packet.ProtoICMPv6, 136}: "neighbour advertisement",
}

func icmp(h *ip) string {
	kind, code := h.payload[0], h.payload[1]
	if name, ok := icmpNames[[2]uint8{h.proto, kind}]; ok {
		return fmt.Sprintf("ICMP %s, code %d, %d bytes", name, code, h.length)
	}
	return fmt.Sprintf("ICMP type %d, code %d, %d bytes", kind, code, h.length)
}
