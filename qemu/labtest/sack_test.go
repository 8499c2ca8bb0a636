package labtest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/qemu/capture"
)

// A server's own interface shows what its kernel gets, translated, but not what
// it sends: the module takes that away before any capture. What was sent, in
// the client's numbers, is seen on the fabric. Both count from the same first
// byte, so edges and data are compared by their distance from it.
type conversation struct {
	kernelStart uint32 // of the server's first byte, in its kernel's numbers
	clientStart uint32 // in the client's numbers
	sent        uint32 // bytes so far
	speaks      bool   // the first byte was seen on the fabric
}

// checkSACKs returns how many SACK blocks a server's kernel got from clients of
// the public address. Every edge must lie inside what was sent before.
func checkSACKs(kernel, fabric *capture.File, public netip.AddrPort) (blocks int, err error) {
	type seen struct {
		at       time.Time
		ip       []byte
		onFabric bool
	}
	var all []seen
	for _, p := range fabric.Packets {
		if inner := innerPacket(fabric.LinkType, p.Data); inner != nil {
			all = append(all, seen{p.At, inner, true})
		}
	}
	for _, p := range kernel.Packets {
		all = append(all, seen{p.At, network(kernel.LinkType, p.Data), false})
	}
	// Within one microsecond nothing is older than what was sent.
	slices.SortStableFunc(all, func(a, b seen) int { return a.at.Compare(b.at) })

	conversations := map[uint16]*conversation{} // by the client's port: there is one client
	for _, s := range all {
		tcp, length := segment(s.ip)
		if tcp == nil {
			continue
		}
		fromServer := tcp.SourcePort() == public.Port()
		port := tcp.SourcePort()
		if fromServer {
			port = tcp.DestinationPort()
		}
		c := conversations[port]
		switch {
		case !s.onFabric && fromServer && tcp.Flags() == header.TCPFlagSyn|header.TCPFlagAck:
			if c == nil || c.kernelStart != tcp.SequenceNumber()+1 {
				conversations[port] = &conversation{kernelStart: tcp.SequenceNumber() + 1}
			}
		case c == nil:
		case s.onFabric && fromServer && length > 0:
			if !c.speaks {
				c.speaks, c.clientStart = true, tcp.SequenceNumber()
			}
			if end := tcp.SequenceNumber() + length - c.clientStart; int32(end-c.sent) > 0 {
				c.sent = end
			}
		case !s.onFabric && !fromServer:
			options := header.ParseTCPOptions(tcp.Options())
			for _, b := range options.SACKBlocks {
				blocks++
				for _, edge := range []uint32{uint32(b.Start), uint32(b.End)} {
					if at := edge - c.kernelStart; at > c.sent {
						return blocks, fmt.Errorf("port %d: a SACK edge at byte %d when %d were sent", port, int32(at), c.sent)
					}
				}
			}
		}
	}
	return blocks, nil
}

// Link types of pcap files.
const (
	linkEthernet = 1
	linkRaw      = 101
)

// network is the packet without its Ethernet header.
func network(link uint32, frame []byte) []byte {
	if link == linkEthernet && len(frame) >= header.EthernetMinimumSize {
		return frame[header.EthernetMinimumSize:]
	}
	return frame
}

// innerPacket is what a tunnel packet carries, nil if it is none.
func innerPacket(link uint32, frame []byte) []byte {
	ip := network(link, frame)
	const outer = header.IPv4MinimumSize + header.UDPMinimumSize
	if len(ip) < outer || ip[9] != uint8(header.UDPProtocolNumber) || binary.BigEndian.Uint16(ip[22:]) != 6080 {
		return nil
	}
	return ip[outer:]
}

// segment is the TCP header of an IPv4 packet, and how much of the sequence
// space follows it: data, and a FIN, which a receiver acknowledges like a byte
// (RFC 9293, 3.4).
func segment(ip []byte) (header.TCP, uint32) {
	if len(ip) < header.IPv4MinimumSize || ip[0]>>4 != 4 || ip[9] != uint8(header.TCPProtocolNumber) {
		return nil, 0
	}
	v4 := header.IPv4(ip)
	tcp := header.TCP(ip[v4.HeaderLength():])
	if len(tcp) < header.TCPMinimumSize || len(tcp) < int(tcp.DataOffset()) {
		return nil, 0
	}
	length := uint32(v4.TotalLength()) - uint32(v4.HeaderLength()) - uint32(tcp.DataOffset())
	if tcp.Flags().Contains(header.TCPFlagFin) {
		length++
	}
	return tcp, length
}

// The check itself must be able to fail.
func TestASACKEdgeOutsideIsFound(t *testing.T) {
	tcp := func(src, dst uint16, seq uint32, flags header.TCPFlags, payload int, options []byte) []byte {
		b := make([]byte, 40+len(options))
		b[0], b[9] = 0x45, 6
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)+payload))
		header.TCP(b[20:]).Encode(&header.TCPFields{SrcPort: src, DstPort: dst, SeqNum: seq, Flags: flags, DataOffset: uint8(20 + len(options))})
		copy(b[40:], options)
		return b
	}
	tunnel := func(inner []byte) []byte {
		b := make([]byte, 28, 28+len(inner))
		b[0], b[9] = 0x45, 17
		binary.BigEndian.PutUint16(b[22:], 6080)
		return append(b, inner...)
	}
	sack := func(from, to uint32) []byte {
		o := []byte{1, 1, 5, 10}
		o = binary.BigEndian.AppendUint32(o, from)
		return binary.BigEndian.AppendUint32(o, to)
	}
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	public := netip.MustParseAddrPort("203.0.113.10:80")
	for _, c := range []struct {
		from, to uint32
		last     header.TCPFlags
		fails    bool
	}{
		{1100, 1200, 0, false}, {1001, 2001, 0, false}, {999, 1200, 0, true}, {1100, 2002, 0, true},
		{1100, 2002, header.TCPFlagFin, false}, {1100, 2003, header.TCPFlagFin, true},
	} {
		_, err := checkSACKs(
			&capture.File{LinkType: linkRaw, Packets: []capture.Packet{
				{At: at(1), Data: tcp(80, 5000, 1000, header.TCPFlagSyn|header.TCPFlagAck, 0, nil)},
				{At: at(3), Data: tcp(5000, 80, 1, header.TCPFlagAck, 0, sack(c.from, c.to))},
			}},
			&capture.File{LinkType: linkRaw, Packets: []capture.Packet{
				{At: at(2), Data: tunnel(tcp(80, 5000, 777000, header.TCPFlagAck|c.last, 1000, nil))},
			}}, public)
		if (err != nil) != c.fails {
			t.Errorf("SACK %d to %d of data 1001 to 2001: %v", c.from, c.to, err)
		}
	}
}
