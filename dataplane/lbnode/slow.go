package lbnode

import (
	"encoding/binary"
	"net/netip"

	"weir/dataplane/packet"
)

// Slow handles everything that is no client's flow (S-82). The node's own
// traffic, ARP and neighbour discovery go to the kernel over the exception
// interface of the port they came from (S-85); publications it splits (S-41);
// the rest is counted and dropped.
type Slow struct {
	own     [packet.NumPorts]map[netip.Addr]bool
	publish publishing
	count   Counters
}

// NewSlow makes the slow worker of a node with so many fast ones.
func NewSlow(io SlowIO, workers int) *Slow { return &Slow{publish: newPublishing(io, workers)} }

// SetConfig takes up a configuration, between two bursts.
func (s *Slow) SetConfig(c *Config) {
	for port := range c.Addresses {
		s.own[port] = make(map[netip.Addr]bool, len(c.Addresses[port]))
		for _, a := range c.Addresses[port] {
			s.own[port][a] = true
		}
	}
	s.publish.setConfig(c)
}

// Counters are the slow worker's; others read them with Load.
func (s *Slow) Counters() *Counters { return &s.count }

// Burst sets the verdict of each frame: Kernel or Drop.
func (s *Slow) Burst(now int64, bufs []packet.Buf) {
	for i := range bufs {
		b := &bufs[i]
		b.Verdict = packet.Drop
		if isPublication(b) {
			s.count.add(s.publication(now, b), 1)
			continue
		}
		why := s.judge(b)
		if why == ToKernel {
			b.Verdict = packet.Kernel
		}
		s.count.add(why, 1)
	}
}

func (s *Slow) judge(b *packet.Buf) Counter {
	frame := b.Bytes()
	if len(frame) < packet.EthernetSize {
		return DropMalformed
	}
	var dst netip.Addr
	var proto uint8
	switch binary.BigEndian.Uint16(frame[12:]) {
	case packet.EtherTypeARP:
		return ToKernel
	case packet.EtherTypeIPv4:
		if len(frame) < packet.EthernetSize+packet.IPv4Size {
			return DropMalformed
		}
		if binary.BigEndian.Uint16(frame[packet.EthernetSize+6:])&0x3fff != 0 {
			return DropFragment
		}
		dst, proto = netip.AddrFrom4([4]byte(frame[packet.EthernetSize+16:])), frame[packet.EthernetSize+9]
	case packet.EtherTypeIPv6:
		if len(frame) < packet.EthernetSize+packet.IPv6Size {
			return DropMalformed
		}
		dst, proto = netip.AddrFrom16([16]byte(frame[packet.EthernetSize+24:])), frame[packet.EthernetSize+6]
	default:
		return DropUnsupported
	}
	switch {
	case s.own[b.Port][dst]:
		return ToKernel
	case dst.Is6() && proto == packet.ProtoICMPv6 && (dst.IsMulticast() || dst.IsLinkLocalUnicast()):
		return ToKernel // neighbour discovery (RFC 4861)
	case proto == packet.ProtoFragment:
		return DropFragment
	case proto == packet.ProtoICMP || proto == packet.ProtoICMPv6:
		return DropICMP
	case proto == packet.ProtoTCP || proto == packet.ProtoUDP:
		return s.reason(frame)
	}
	return DropUnsupported
}

// reason is why a TCP or UDP frame that names no served flow goes.
func (s *Slow) reason(frame []byte) Counter {
	var in packet.Info
	if st := packet.Parse(frame, &in); st != packet.OK {
		return dropOf(st)
	}
	return DropNotServed
}
