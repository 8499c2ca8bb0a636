package labtest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/qemu/capture"
)

// sent is what a server has sent on one connection so far.
type sent struct {
	first, next uint32
}

// checkSACKs goes through what a server's kernel sent and got on its public
// address, and returns how many SACK blocks it got. Every edge must lie inside
// what was sent before.
func checkSACKs(file *capture.File, public netip.AddrPort) (blocks int, err error) {
	flows := map[uint16]*sent{} // by the client's port: there is one client
	for _, p := range file.Packets {
		ip := p.Data
		if file.LinkType == linkEthernet {
			ip = ip[header.EthernetMinimumSize:]
		}
		if len(ip) < header.IPv4MinimumSize || ip[0]>>4 != 4 {
			continue
		}
		v4 := header.IPv4(ip)
		if v4.Protocol() != uint8(header.TCPProtocolNumber) {
			continue
		}
		tcp := header.TCP(ip[v4.HeaderLength():])
		if len(tcp) < header.TCPMinimumSize || len(tcp) < int(tcp.DataOffset()) {
			continue
		}
		length := uint32(v4.TotalLength()) - uint32(v4.HeaderLength()) - uint32(tcp.DataOffset())
		switch {
		case tcp.SourcePort() == public.Port():
			f := flows[tcp.DestinationPort()]
			if f == nil || tcp.Flags()&header.TCPFlagSyn != 0 {
				f = &sent{first: tcp.SequenceNumber(), next: tcp.SequenceNumber()}
				flows[tcp.DestinationPort()] = f
			}
			if tcp.Flags()&(header.TCPFlagSyn|header.TCPFlagFin) != 0 {
				length++
			}
			if end := tcp.SequenceNumber() + length; int32(end-f.next) > 0 {
				f.next = end
			}
		case tcp.DestinationPort() == public.Port():
			f := flows[tcp.SourcePort()]
			options := header.ParseTCPOptions(tcp.Options())
			for _, b := range options.SACKBlocks {
				blocks++
				for _, edge := range []uint32{uint32(b.Start), uint32(b.End)} {
					if f == nil || int32(edge-f.first) < 0 || int32(edge-f.next) > 0 {
						return blocks, fmt.Errorf("port %d: SACK edge %d is outside of what was sent: %+v", tcp.SourcePort(), edge, f)
					}
				}
			}
		}
	}
	return blocks, nil
}

const linkEthernet = 1

// The check itself must be able to fail.
func TestASACKEdgeOutsideIsFound(t *testing.T) {
	packet := func(src, dst uint16, seq uint32, payload int, options []byte) capture.Packet {
		b := make([]byte, 40+len(options))
		b[0], b[9] = 0x45, 6
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)+payload))
		tcp := header.TCP(b[20:])
		tcp.Encode(&header.TCPFields{SrcPort: src, DstPort: dst, SeqNum: seq, Flags: header.TCPFlagAck, DataOffset: uint8(20 + len(options))})
		copy(b[40:], options)
		return capture.Packet{Data: b}
	}
	sack := func(from, to uint32) []byte {
		o := []byte{1, 1, 5, 10}
		o = binary.BigEndian.AppendUint32(o, from)
		return binary.BigEndian.AppendUint32(o, to)
	}
	public := netip.MustParseAddrPort("203.0.113.10:80")
	for _, c := range []struct {
		from, to uint32
		fails    bool
	}{{1100, 1200, false}, {1000, 2000, false}, {999, 1200, true}, {1100, 2001, true}} {
		_, err := checkSACKs(&capture.File{LinkType: 101, Packets: []capture.Packet{
			packet(80, 5000, 1000, 1000, nil), packet(5000, 80, 1, 0, sack(c.from, c.to)),
		}}, public)
		if (err != nil) != c.fails {
			t.Errorf("SACK %d to %d of data 1000 to 2000: %v", c.from, c.to, err)
		}
	}
}
