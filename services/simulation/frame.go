package simulation

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/wire"
)

const (
	ethernetSize = header.EthernetMinimumSize
	etherIPv4    = uint16(header.IPv4ProtocolNumber)
	etherIPv6    = uint16(header.IPv6ProtocolNumber)
	protoTCP     = uint8(header.TCPProtocolNumber)
	protoUDP     = uint8(header.UDPProtocolNumber)
	udpSize      = header.UDPMinimumSize
)

// The parsing here is netstack's and stands apart from the dataplane's own on
// purpose: what it observes must not share the errors of what is observed.

// ethernet puts an Ethernet header before an IP packet.
func ethernet(dst, src MAC, ip []byte) []byte {
	frame := make([]byte, ethernetSize+len(ip))
	copy(frame, dst[:])
	copy(frame[6:], src[:])
	binary.BigEndian.PutUint16(frame[12:], etherIPv4)
	if len(ip) > 0 && ip[0]>>4 == 6 {
		binary.BigEndian.PutUint16(frame[12:], etherIPv6)
	}
	copy(frame[ethernetSize:], ip)
	return frame
}

func etherType(frame []byte) uint16 { return binary.BigEndian.Uint16(frame[12:]) }

// datagram is what an IP packet carries.
type datagram struct {
	Src, Dst netip.AddrPort
	Proto    uint8
	Payload  []byte // behind the IP header
}

// parseIP reads an IP packet without options or extension headers; TCP and UDP
// ports are filled in. False if it is anything else.
func parseIP(ip []byte) (datagram, bool) {
	var d datagram
	var src, dst netip.Addr
	switch {
	case len(ip) >= header.IPv4MinimumSize && ip[0] == 0x45:
		h := header.IPv4(ip)
		if int(h.TotalLength()) > len(ip) || h.TotalLength() < header.IPv4MinimumSize {
			return d, false
		}
		src, dst = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
		d.Proto, d.Payload = h.Protocol(), ip[header.IPv4MinimumSize:h.TotalLength()]
	case len(ip) >= header.IPv6MinimumSize && ip[0]>>4 == 6:
		h := header.IPv6(ip)
		if header.IPv6MinimumSize+int(h.PayloadLength()) > len(ip) {
			return d, false
		}
		src, dst = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
		d.Proto, d.Payload = h.NextHeader(), ip[header.IPv6MinimumSize:header.IPv6MinimumSize+int(h.PayloadLength())]
	default:
		return d, false
	}
	var sport, dport uint16
	if (d.Proto == protoTCP && len(d.Payload) >= header.TCPMinimumSize) || (d.Proto == protoUDP && len(d.Payload) >= udpSize) {
		sport, dport = binary.BigEndian.Uint16(d.Payload), binary.BigEndian.Uint16(d.Payload[2:])
	}
	d.Src, d.Dst = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	return d, true
}

// parseFrame reads the IP packet in an Ethernet frame.
func parseFrame(frame []byte) (datagram, bool) {
	if len(frame) < ethernetSize || etherType(frame) != etherIPv4 && etherType(frame) != etherIPv6 {
		return datagram{}, false
	}
	return parseIP(frame[ethernetSize:])
}

// Tuple names a connection by its client's and its public address.
type Tuple struct{ Client, VIP netip.AddrPort }

// Kind says what a frame is to the protocol.
type Kind struct {
	Name  string // "tcp SYN", "tcp up ACK" (from the client), "data down payload" (encapsulated, from the server), "tracker 3"
	Tuple Tuple
}

// trackerKind is the name of a tracker message's kind.
func trackerKind(msg uint8) string { return fmt.Sprintf("tracker %d", msg) }

// Classify tells what a frame is, and of which connection. isVIP recognises
// public addresses. False for frames that belong to no connection.
func Classify(frame []byte, isVIP func(netip.Addr) bool) (Kind, bool) {
	d, ok := parseFrame(frame)
	if !ok {
		return Kind{}, false
	}
	if d.Proto == protoTCP {
		return classifyTCP("tcp", d, isVIP)
	}
	if d.Proto != protoUDP || len(d.Payload) < udpSize {
		return Kind{}, false
	}
	body := d.Payload[udpSize:]
	switch d.Dst.Port() {
	case wire.PortData:
		if inner, ok := parseIP(body); ok && inner.Proto == protoTCP {
			return classifyTCP("data", inner, isVIP)
		}
	case wire.PortTracker:
		if len(body) == wire.TrackerSize {
			var t wire.Tracker
			t.Key.Get(body[wire.KeyOffset:])
			return Kind{Name: trackerKind(body[1]), Tuple: Tuple{t.Key.ClientAddr(), t.Key.VIPAddr()}}, true
		}
	}
	return Kind{}, false
}

func classifyTCP(prefix string, d datagram, isVIP func(netip.Addr) bool) (Kind, bool) {
	if len(d.Payload) < header.TCPMinimumSize {
		return Kind{}, false
	}
	t := header.TCP(d.Payload)
	k, way := Kind{Tuple: Tuple{d.Src, d.Dst}}, "up "
	if isVIP(d.Src.Addr()) {
		k.Tuple, way = Tuple{d.Dst, d.Src}, "down "
	} else if !isVIP(d.Dst.Addr()) {
		return Kind{}, false
	}
	what := way + "ACK"
	switch f := t.Flags(); {
	case f.Contains(header.TCPFlagRst):
		what = way + "RST"
	case f.Contains(header.TCPFlagSyn | header.TCPFlagAck):
		what = "SYN/ACK"
	case f.Contains(header.TCPFlagSyn):
		what = "SYN"
	case f.Contains(header.TCPFlagFin):
		what = way + "FIN"
	case int(t.DataOffset()) < len(d.Payload):
		what = way + "payload"
	}
	k.Name = prefix + " " + what
	return k, true
}

// udpPacket makes an IPv4 UDP packet without a UDP checksum.
func udpPacket(src, dst netip.Addr, srcPort, dstPort uint16, body []byte) []byte {
	const head = header.IPv4MinimumSize + udpSize
	b := make([]byte, head+len(body))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: protoUDP, SrcAddr: stackAddr(src), DstAddr: stackAddr(dst)})
	ip.SetChecksum(^ip.CalculateChecksum())
	header.UDP(b[header.IPv4MinimumSize:]).Encode(&header.UDPFields{SrcPort: srcPort, DstPort: dstPort, Length: uint16(udpSize + len(body))})
	copy(b[head:], body)
	return b
}
