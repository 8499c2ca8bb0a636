package flood

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// Aim is what garbage is sent to: the machine that receives the frame, the
// public address that it serves, and somebody whom it does not know.
type Aim struct {
	Path     Path
	Stranger netip.Addr // source of all of it
	Machine  netip.Addr // own address of the receiver, same family as Stranger
	VIP      netip.AddrPort
}

// Ports of our datagrams, and two that are nobody's.
var garbagePorts = []uint16{6080, 6081, 6082, 6083, 6084, 6085, 53, 4789}

// Garbage is a seeded stream of frames with everything wrong that can be:
// truncated, lying about lengths, wrong checksums, impossible options, tunnels
// and tracker messages from a stranger, fragments, unknown protocols, and plain
// noise.
func Garbage(aim Aim, random *rand.Rand) Next {
	kinds := []func(Aim, *rand.Rand, []byte) int{
		truncated, lyingLengths, wrongChecksum, impossibleOptions, impossibleOffsets,
		strangerTunnel, strangerNested, strangerMessage, noiseDatagram, fragment, unknownProtocol, noise, brokenVLAN,
	}
	return func(i int, frame []byte) int {
		return max(14, kinds[i%len(kinds)](aim, random, frame))
	}
}

func (a Aim) segment(random *rand.Rand) Segment {
	return Segment{
		Src: netip.AddrPortFrom(a.clientAddr(), uint16(random.Uint32())), Dst: a.VIP,
		Seq: random.Uint32(), Ack: random.Uint32(), Flags: byte(random.Uint32()), Options: synOptions, Payload: make([]byte, random.IntN(200)),
	}
}

// clientAddr has the family of the public address.
func (a Aim) clientAddr() netip.Addr {
	if a.VIP.Addr().Is6() {
		return netip.MustParseAddr("2001:db8:bad::1")
	}
	return netip.MustParseAddr("11.1.2.3")
}

func truncated(a Aim, random *rand.Rand, frame []byte) int {
	return random.IntN(a.Path.Write(frame, a.segment(random)) + 1)
}

func lyingLengths(a Aim, random *rand.Rand, frame []byte) int {
	n := a.Path.Write(frame, a.segment(random))
	switch random.IntN(3) {
	case 0: // total or payload length
		binary.BigEndian.PutUint16(frame[16:], uint16(random.Uint32()))
		binary.BigEndian.PutUint16(frame[18:], uint16(random.Uint32()))
	case 1: // version and header length
		frame[14] = byte(random.Uint32())
	case 2:
		frame[14+20+12] = byte(random.Uint32())
	}
	return n
}

func wrongChecksum(a Aim, random *rand.Rand, frame []byte) int {
	n := a.Path.Write(frame, a.segment(random))
	frame[24+random.IntN(n-24)] ^= 1 << random.IntN(8)
	return n
}

func impossibleOptions(a Aim, random *rand.Rand, frame []byte) int {
	s := a.segment(random)
	s.Flags = SYN
	s.Options = make([]byte, 40)
	for i := range s.Options {
		s.Options[i] = byte(random.IntN(12)) // many known kinds, absurd lengths
	}
	return a.Path.Write(frame, s)
}

func impossibleOffsets(a Aim, random *rand.Rand, frame []byte) int {
	s := a.segment(random)
	s.Payload, s.Options = nil, nil
	n := a.Path.Write(frame, s)
	frame[n-8] = byte(random.IntN(16)) << 4 // data offset
	return n
}

// strangerTunnel is a whole packet in the right encapsulation, from an address
// that is no LB node and no server.
func strangerTunnel(a Aim, random *rand.Rand, frame []byte) int {
	var inner [MaxFrame]byte
	s := a.segment(random)
	s.Payload = nil
	n := a.Path.Write(inner[:], s)
	return a.datagram(random, frame, 6080, inner[14:n])
}

// strangerNested is encapsulation within encapsulation within …
func strangerNested(a Aim, random *rand.Rand, frame []byte) int {
	payload := make([]byte, 8)
	for range 1 + random.IntN(10) {
		udp := make([]byte, 8, 8+len(payload))
		binary.BigEndian.PutUint16(udp[2:], 6080)
		binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
		payload = IP(a.Stranger, a.Machine, 17, append(udp, payload...), 6)
	}
	return a.datagram(random, frame, 6080, payload)
}

// strangerMessage begins like a control datagram and goes on as noise.
func strangerMessage(a Aim, random *rand.Rand, frame []byte) int {
	b := make([]byte, random.IntN(300))
	fill(b, random)
	if len(b) > 2 {
		b[0], b[1] = 1, byte(random.IntN(32)) // version and type
	}
	return a.datagram(random, frame, 6081, b)
}

func noiseDatagram(a Aim, random *rand.Rand, frame []byte) int {
	b := make([]byte, random.IntN(1400))
	fill(b, random)
	return a.datagram(random, frame, garbagePorts[random.IntN(len(garbagePorts))], b)
}

func (a Aim) datagram(random *rand.Rand, frame []byte, port uint16, payload []byte) int {
	src := netip.AddrPortFrom(a.Stranger, uint16(49152+random.IntN(16384)))
	return a.Path.WriteUDP(frame, src, netip.AddrPortFrom(a.Machine, port), payload)
}

func fragment(a Aim, random *rand.Rand, frame []byte) int {
	n := a.Path.Write(frame, a.segment(random))
	if a.VIP.Addr().Is4() {
		binary.BigEndian.PutUint16(frame[20:], uint16(random.Uint32())|0x2000)
		frame[24], frame[25] = 0, 0
		binary.BigEndian.PutUint16(frame[24:], checksum(0, frame[14:34]))
		return n
	}
	frame[20] = 44 // fragment header over what was TCP
	return n
}

func unknownProtocol(a Aim, random *rand.Rand, frame []byte) int {
	b := make([]byte, 8+random.IntN(100))
	fill(b, random)
	return a.Path.writeIP(frame, a.clientAddr(), a.VIP.Addr(), byte(random.Uint32()), b, 2)
}

func noise(a Aim, random *rand.Rand, frame []byte) int {
	n := 14 + random.IntN(1500)
	fill(frame[:n], random)
	copy(frame, a.Path.To)
	copy(frame[6:], a.Path.From)
	if random.IntN(2) == 0 {
		types := []uint16{0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847}
		binary.BigEndian.PutUint16(frame[12:], types[random.IntN(len(types))])
	}
	return n
}

func brokenVLAN(a Aim, random *rand.Rand, frame []byte) int {
	n := a.Path.Write(frame, a.segment(random))
	copy(frame[16:], frame[12:n-4])
	binary.BigEndian.PutUint16(frame[12:], 0x8100)
	binary.BigEndian.PutUint16(frame[14:], uint16(random.Uint32()))
	return 14 + random.IntN(n-14)
}

func fill(b []byte, random *rand.Rand) {
	for i := range b {
		b[i] = byte(random.Uint32())
	}
}
