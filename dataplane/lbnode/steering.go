package lbnode

import (
	"encoding/binary"

	"weir/dataplane/flow"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// SlowWorker is the answer of Steer for everything that is no client's flow (S-82).
const SlowWorker = -1

// Steering names the worker that owns a frame's flow, however the flow comes:
// bare, encapsulated, or as a tracker message about it (S-81). It is immutable.
type Steering struct {
	seed    flow.Seed
	workers uint64
	own4    [packet.NumPorts][][4]byte
	own6    [packet.NumPorts][][16]byte
}

// NewSteering prepares steering to so many workers.
func NewSteering(c *Config, workers int) *Steering {
	s := &Steering{seed: c.Secrets.Steering, workers: uint64(workers)}
	for port := range c.Addresses {
		for _, a := range c.Addresses[port] {
			if a.Is4() {
				s.own4[port] = append(s.own4[port], a.As4())
			} else {
				s.own6[port] = append(s.own6[port], a.As16())
			}
		}
	}
	return s
}

// Steer returns a worker's index or SlowWorker. It looks only at what locates
// the flow; whoever gets the frame checks it.
func (s *Steering) Steer(b *packet.Buf) int {
	frame := b.Bytes()
	if len(frame) < packet.EthernetSize+packet.IPv4Size+packet.UDPSize || frame[0]&1 != 0 {
		return SlowWorker // too short for any flow, or multicast: ARP, ND
	}
	var k flow.Key
	if b.Port == packet.South {
		return s.steerSouth(frame, &k)
	}
	if s.isOwn(frame, packet.North) {
		if w, ok := s.pingWorker(frame); ok {
			return w
		}
		return SlowWorker
	}
	if _, _, st := packet.FlowOf(frame, &k); st != packet.OK {
		return SlowWorker
	}
	return s.worker(&k)
}

func (s *Steering) steerSouth(frame []byte, k *flow.Key) int {
	const ip = packet.EthernetSize
	if binary.BigEndian.Uint16(frame[12:]) != packet.EtherTypeIPv4 || frame[ip] != 0x45 ||
		frame[ip+9] != packet.ProtoUDP || binary.BigEndian.Uint16(frame[ip+6:])&0x3fff != 0 {
		return SlowWorker
	}
	const payload = ip + packet.IPv4Size + packet.UDPSize
	switch binary.BigEndian.Uint16(frame[ip+packet.IPv4Size+2:]) {
	case wire.PortData:
		if _, _, st := packet.TunnelFlowOf(frame, k); st != packet.OK {
			return 0 // any worker can count it
		}
	case wire.PortTracker:
		if len(frame) < payload+wire.KeyOffset+flow.KeySize {
			return 0
		}
		k.Get(frame[payload+wire.KeyOffset:])
	case wire.PortPing:
		if w, ok := s.pingWorker(frame); ok {
			return w
		}
		return SlowWorker
	default:
		return SlowWorker
	}
	return s.worker(k)
}

// isOwn reports whether the frame is for this node itself: BGP and the like.
func (s *Steering) isOwn(frame []byte, port packet.Port) bool {
	switch binary.BigEndian.Uint16(frame[12:]) {
	case packet.EtherTypeIPv4:
		for i := range s.own4[port] {
			if s.own4[port][i] == [4]byte(frame[packet.EthernetSize+16:]) {
				return true
			}
		}
	case packet.EtherTypeIPv6:
		if len(frame) < packet.EthernetSize+packet.IPv6Size {
			return false
		}
		for i := range s.own6[port] {
			if s.own6[port][i] == [16]byte(frame[packet.EthernetSize+24:]) {
				return true
			}
		}
	}
	return false
}

func (s *Steering) worker(k *flow.Key) int {
	if s.workers <= 1 {
		return 0
	}
	return int(flow.Hash(k, s.seed) >> 32 % s.workers)
}
