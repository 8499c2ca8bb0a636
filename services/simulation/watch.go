package simulation

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/wire"
)

// Invariants of the segments, checked on every frame that a component puts on
// a bus.

// watchFabric lets only UDP to Weir's own ports on the fabric (S-3), with
// headers in order. What clients or servers sent may be corrupt, if it is said
// to be; what the cluster itself writes never is.
func (c *Cluster) watchFabric() Stage {
	sim, corrupts := c.Sim, c.corrupts
	return RecordStage(func(frame []byte) {
		d, ok := parseFrame(frame)
		if !ok || d.Proto != protoUDP || len(d.Payload) < udpSize {
			sim.Violate("the fabric carries something else than UDP: %x", frame)
			return
		}
		if p := d.Dst.Port(); p < wire.PortData || p > wire.PortGossip {
			sim.Violate("the fabric carries UDP to port %d", p)
			return
		}
		if ip := header.IPv4(frame[ethernetSize:]); !ip.IsChecksumValid() {
			sim.Violate("wrong IPv4 checksum on the fabric: %x", frame)
			return
		}
		if len(frame)-ethernetSize > fabricMTU {
			sim.Violate("%d bytes on the fabric, whose MTU is %d", len(frame)-ethernetSize, fabricMTU)
			return
		}
		switch d.Dst.Port() {
		case wire.PortPublish:
			c.published++
			return
		case wire.PortPublished:
			// Every node gets its share of what a module says, and keeps it (S-41).
			if c.passedOn++; c.passedOn > len(c.Nodes)*c.published {
				sim.Violate("%d publications of modules became %d between nodes", c.published, c.passedOn)
			}
			return
		case wire.PortData:
		default:
			return
		}
		if inner, ok := parseIP(d.Payload[udpSize:]); !ok || !publicTCP(inner) {
			sim.Violate("encapsulated on the fabric, but no TCP packet of a public address: %x", d.Payload[udpSize:])
		} else if !corrupts && !checksumRight(inner) {
			sim.Violate("wrong TCP checksum in a packet %s > %s on the fabric", inner.Src, inner.Dst)
		}
	})
}

// watchNorth lets only bare client TCP on the segment north of the nodes, and
// their health pings.
func watchNorth(sim *Sim, corrupts bool) Stage {
	return RecordStage(func(frame []byte) {
		d, ok := parseFrame(frame)
		if corrupts {
			return // clients answer what they do not understand with ICMP
		}
		if ok && d.Proto == protoUDP && d.Dst.Port() == wire.PortPing {
			return
		}
		if !ok || !publicTCP(d) {
			sim.Violate("north of the nodes, but no TCP packet of a public address: %x", frame)
		} else if !checksumRight(d) {
			sim.Violate("wrong TCP checksum in a packet %s > %s north of the nodes", d.Src, d.Dst)
		} else if most := promised(d); most > 0 && most+tunnelHeaders(d) > fabricMTU {
			sim.Violate("a client may send segments of %d bytes, which do not fit the fabric", most)
		}
	})
}

const fabricMTU = 1500

func publicTCP(d datagram) bool {
	return d.Proto == protoTCP && len(d.Payload) >= header.TCPMinimumSize && isVIP(d.Src.Addr()) != isVIP(d.Dst.Addr())
}

func checksumRight(d datagram) bool {
	t := header.TCP(d.Payload)
	if int(t.DataOffset()) > len(t) || int(t.DataOffset()) < header.TCPMinimumSize {
		return false
	}
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, stackAddr(unmapped(d.Src)), stackAddr(unmapped(d.Dst)), uint16(len(t)))
	return t.CalculateChecksum(checksum.Checksum(t.Payload(), sum)) == 0xffff
}

func unmapped(a netip.AddrPort) netip.Addr { return a.Addr().Unmap() }

// promised is the MSS that a SYN/ACK gives, or 0.
func promised(d datagram) (mss int) {
	t := header.TCP(d.Payload)
	if t.Flags().Contains(header.TCPFlagSyn | header.TCPFlagAck) {
		eachOption(t, func(kind byte, value []byte) {
			if kind == header.TCPOptionMSS && len(value) == 2 {
				mss = int(value[0])<<8 | int(value[1])
			}
		})
	}
	return mss
}

// tunnelHeaders is how many bytes of headers an encapsulated segment has.
func tunnelHeaders(d datagram) int {
	inner := header.IPv4MinimumSize
	if d.Src.Addr().Is6() {
		inner = header.IPv6MinimumSize
	}
	return header.IPv4MinimumSize + udpSize + inner + header.TCPMinimumSize
}
