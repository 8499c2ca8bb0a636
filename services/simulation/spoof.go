package simulation

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Segment is a TCP segment without payload that nobody's stack made.
type Segment struct {
	Tuple  Tuple // it goes from Client to VIP
	Flags  uint8
	Seq    uint32
	Ack    uint32
	Window uint16
}

// packet is the segment as an IP packet with right checksums.
func (s Segment) packet() []byte {
	src, dst := stackAddr(s.Tuple.Client.Addr()), stackAddr(s.Tuple.VIP.Addr())
	head := header.IPv4MinimumSize
	if s.Tuple.Client.Addr().Is6() {
		head = header.IPv6MinimumSize
	}
	b := make([]byte, head+header.TCPMinimumSize)
	if head == header.IPv6MinimumSize {
		header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: header.TCPMinimumSize, TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: src, DstAddr: dst})
	} else {
		ip := header.IPv4(b)
		ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: protoTCP, SrcAddr: src, DstAddr: dst})
		ip.SetChecksum(^ip.CalculateChecksum())
	}
	t := header.TCP(b[head:])
	t.Encode(&header.TCPFields{SrcPort: s.Tuple.Client.Port(), DstPort: s.Tuple.VIP.Port(), SeqNum: s.Seq, AckNum: s.Ack,
		DataOffset: header.TCPMinimumSize, Flags: header.TCPFlags(s.Flags), WindowSize: s.Window})
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, header.TCPMinimumSize)
	t.SetChecksum(^t.CalculateChecksum(sum))
	return b
}

// Spoof sends a segment towards the public address as a stranger on the
// client's segment would, in the client's name.
func (c *Cluster) Spoof(s Segment) {
	c.Load.mixed[s.Tuple] = true
	c.stranger.Send(ethernet(c.Router.Access.MAC, c.stranger.MAC, s.packet()))
}
