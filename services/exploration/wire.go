package exploration

import (
	"encoding/binary"
	"net/netip"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// datagram is a frame in flight.
type datagram struct {
	frame []byte
	port  packet.Port // where it arrives, if at a node
	to    part
	late  int  // how many timers fire before it arrives
	again bool // a second copy
}

// part is a component: nodes come first, then servers, then the client.
type part int

const (
	firstServer = part(Nodes)
	theClient   = firstServer + Servers
	theDetector = theClient + 1 // notices deaths
	parts       = theDetector + 1
)

func (p part) isNode() bool   { return p < firstServer }
func (p part) isServer() bool { return p >= firstServer && p < theClient }

// name says what a datagram is.
func (d *datagram) name() string {
	if d.frame == nil {
		return "news"
	}
	udp := packet.EthernetSize + packet.IPv4Size
	if d.frame[packet.EthernetSize+9] != packet.ProtoUDP {
		return "segment " + segmentName(d.frame)
	}
	switch port := binary.BigEndian.Uint16(d.frame[udp+2:]); port {
	case wire.PortTracker:
		if t := d.frame[udp+packet.UDPSize+1]; int(t) < len(wire.MsgNames) {
			return wire.MsgNames[t]
		}
		return "tracker message"
	case wire.PortData:
		return "data " + segmentName(append(make([]byte, packet.EthernetSize, 100), d.frame[udp+packet.UDPSize:]...))
	default:
		return "datagram"
	}
}

// segmentName names a segment by its flags; frame begins with room for Ethernet.
func segmentName(frame []byte) string {
	t := frame[packet.EthernetSize+packet.IPv4Size:]
	name := ""
	for _, f := range []struct {
		bit  uint8
		name string
	}{{packet.SYN, "SYN "}, {packet.FIN, "FIN "}, {packet.RST, "RST "}, {packet.ACK, "ACK "}} {
		if t[13]&f.bit != 0 {
			name += f.name
		}
	}
	if int(t[12]>>4)*4 < len(t) {
		name += "with payload"
	}
	return name
}

// segment is a TCP segment of the flow, as both ends see it.
type segment struct {
	flags    uint8
	seq, ack uint32
	payload  []byte
}

// frameOf is a bare frame of the flow's: from the client, or from the public address.
func frameOf(s *segment, up bool) []byte {
	var b [256]byte
	t := packet.TCPSpec{IPSpec: packet.IPSpec{Src: key.Client, Dst: key.VIP}, SrcPort: key.ClientPort, DstPort: key.VIPPort,
		Seq: s.seq, Ack: s.ack, Flags: s.flags, Window: 65535, Payload: s.payload}
	if !up {
		t.Src, t.Dst, t.SrcPort, t.DstPort = key.VIP, key.Client, key.VIPPort, key.ClientPort
	}
	if s.flags&packet.SYN != 0 {
		t.Options = &packet.TCPOptions{MSS: 1432, WScale: packet.NoWScale}
	}
	return append([]byte(nil), b[:packet.BuildTCP(b[:], &t)]...)
}

// segmentOf reads a bare frame; false if it is no TCP segment with a right checksum.
func segmentOf(frame []byte) (s segment, k flow.Key, ok bool) {
	var in packet.Info
	if packet.Parse(frame, &in) != packet.OK || in.Proto != packet.ProtoTCP || !packet.VerifyTCP(frame, &in) {
		return s, k, false
	}
	in.Key(&k)
	return segment{flags: in.TCPFlags, seq: in.Seq, ack: in.Ack, payload: frame[in.Payload:in.End]}, k, true
}

// udpFrame is a datagram on the fabric.
func udpFrame(dstMAC, srcMAC [6]byte, dst, src netip.Addr, port uint16, body []byte) []byte {
	b := make([]byte, packet.TunnelSize+len(body))
	packet.PutEthernet(b, dstMAC, srcMAC, packet.EtherTypeIPv4)
	packet.PutIPv4(b[packet.EthernetSize:], src.As4(), dst.As4(), packet.ProtoUDP, 64, 0, uint16(len(b)-packet.EthernetSize))
	udp := b[packet.EthernetSize+packet.IPv4Size:]
	binary.BigEndian.PutUint16(udp, 50000)
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(packet.UDPSize+len(body)))
	copy(udp[packet.UDPSize:], body)
	return b
}
