package packet

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// frame describes a packet that gVisor's encoders make, so that what is parsed
// here was not built here.
type frame struct {
	src, dst  string
	proto     uint8
	transport []byte // header and payload, checksum zero
	padding   int    // link padding
}

// gaddr is an address as gVisor has it.
func gaddr(s string) tcpip.Address {
	return tcpip.AddrFromSlice(netip.MustParseAddr(s).AsSlice())
}

// bytes encodes the frame with right checksums, TOS 0xb9 (DSCP 46, ECN 1) and TTL 61.
func (f frame) bytes() []byte {
	src, dst := gaddr(f.src), gaddr(f.dst)
	t := append([]byte(nil), f.transport...)
	sum := checksum.Checksum(t, header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(f.proto), src, dst, uint16(len(t))))
	switch f.proto {
	case 6:
		header.TCP(t).SetChecksum(^sum)
	case 17:
		header.UDP(t).SetChecksum(^sum)
	case 1:
		header.ICMPv4(t).SetChecksum(^checksum.Checksum(t, 0))
	case 58:
		header.ICMPv6(t).SetChecksum(^sum)
	}
	var ip []byte
	etherType := header.IPv4ProtocolNumber
	if src.Len() == 4 {
		ip = make([]byte, 20)
		h := header.IPv4(ip)
		h.Encode(&header.IPv4Fields{TOS: 0xb9, TotalLength: uint16(20 + len(t)), TTL: 61, Protocol: f.proto, SrcAddr: src, DstAddr: dst})
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		etherType = header.IPv6ProtocolNumber
		ip = make([]byte, 40)
		header.IPv6(ip).Encode(&header.IPv6Fields{TrafficClass: 0xb9, FlowLabel: 0x54321, PayloadLength: uint16(len(t)),
			TransportProtocol: tcpip.TransportProtocolNumber(f.proto), HopLimit: 61, SrcAddr: src, DstAddr: dst})
	}
	eth := make([]byte, 14)
	header.Ethernet(eth).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress(macA[:]), DstAddr: tcpip.LinkAddress(macB[:]), Type: etherType})
	return append(append(append(eth, ip...), t...), make([]byte, f.padding)...)
}

// tcp is a segment with the given options, whose length is a multiple of 4, and payload.
func tcp(flags uint8, options, payload string) []byte {
	t := make([]byte, 20, 20+len(options)+len(payload))
	header.TCP(t).Encode(&header.TCPFields{SrcPort: 40000, DstPort: 80, SeqNum: 0xfedcba98, AckNum: 0x01234567,
		DataOffset: uint8(20 + len(options)), Flags: header.TCPFlags(flags), WindowSize: 501})
	return append(append(t, options...), payload...)
}

// udp is a datagram with the given payload.
func udp(payload string) []byte {
	u := make([]byte, 8, 8+len(payload))
	header.UDP(u).Encode(&header.UDPFields{SrcPort: 40000, DstPort: 53, Length: uint16(8 + len(payload))})
	return append(u, payload...)
}

// echo is an ICMP or ICMPv6 message of the given type, with an identifier and data.
func echo(kind uint8, data string) []byte {
	return append([]byte{kind, 3, 0, 0, 0x12, 0x34, 0, 1}, data...)
}

// frames holds one frame of each kind that is parsed completely, for both families.
func frames() map[string][]byte {
	out := map[string][]byte{"ARP": arpFrame()}
	for _, f := range families {
		icmp := uint8(1)
		if f.name == "IPv6" {
			icmp = 58
		}
		for name, x := range map[string]frame{
			"SYN":              {f.client, f.vip, 6, tcp(SYN, "\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x03\x07", ""), 0},
			"ACK":              {f.client, f.vip, 6, tcp(ACK, "", ""), 6},
			"data":             {f.client, f.vip, 6, tcp(PSH|ACK, "", "GET / HTTP/1.1\r\n\r\n"), 0},
			"odd data":         {f.client, f.vip, 6, tcp(PSH|ACK, "", "GET"), 3},
			"DNS":              {f.client, f.vip, 17, udp("question"), 0},
			"empty datagram":   {f.client, f.vip, 17, udp(""), 18},
			"echo":             {f.client, f.vip, icmp, echo(8, "ping"), 0},
			"server's segment": {f.vip, f.client, 6, tcp(FIN|ACK, "\x01\x01\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x02", "x"), 0},
		} {
			out[f.name+" "+name] = x.bytes()
		}
	}
	return out
}

// arpFrame asks for 10.20.0.101 from 10.20.0.11.
func arpFrame() []byte {
	b := make([]byte, 60)
	copy(b, "\xff\xff\xff\xff\xff\xff")
	copy(b[6:], macA[:])
	copy(b[12:], "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01")
	copy(b[22:], macA[:])
	copy(b[28:], "\x0a\x14\x00\x0b")
	copy(b[38:], "\x0a\x14\x00\x65")
	return b
}
