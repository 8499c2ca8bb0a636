package flood

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// Next makes the frames of one attack, for Sender.Run.
type Next func(i int, frame []byte) int

// SpoofedSYNs are connection requests from invented addresses, every fourth
// one over IPv6.
func SpoofedSYNs(p Path, targets Targets, random *rand.Rand) Next {
	return func(i int, frame []byte) int {
		src, dst := targets.pick(i, random)
		return p.Write(frame, Segment{Src: src, Dst: dst, Seq: random.Uint32(), Flags: SYN, Options: synOptions})
	}
}

// SpoofedData are bare ACKs and data, in turn, of connections that never were.
func SpoofedData(p Path, targets Targets, random *rand.Rand) Next {
	payload := make([]byte, 100)
	return func(i int, frame []byte) int {
		src, dst := targets.pick(i, random)
		s := Segment{Src: src, Dst: dst, Seq: random.Uint32(), Ack: random.Uint32(), Flags: ACK}
		if i%2 == 1 {
			s.Flags, s.Payload = ACK|PSH, payload
		}
		return p.Write(frame, s)
	}
}

// Tuple names a connection from its client's side.
type Tuple struct {
	Client, Server netip.AddrPort
}

// SYNsOn are connection requests that look as if they came from the clients of
// live connections.
func SYNsOn(p Path, live []Tuple, random *rand.Rand) Next {
	return func(i int, frame []byte) int {
		t := live[i%len(live)]
		return p.Write(frame, Segment{Src: t.Client, Dst: t.Server, Seq: random.Uint32(), Flags: SYN, Options: synOptions})
	}
}

// Targets are the public addresses under attack, of one port.
type Targets struct {
	V4, V6 netip.AddrPort
}

// pick invents a source: anywhere in 11.0.0.0/8 or 2001:db8:bad::/48, which the
// lab uses for nothing else.
func (t Targets) pick(i int, random *rand.Rand) (src, dst netip.AddrPort) {
	port := uint16(1024 + random.IntN(64512))
	if i%4 == 3 {
		a := netip.MustParseAddr("2001:db8:bad::").As16()
		binary.BigEndian.PutUint64(a[8:], random.Uint64())
		return netip.AddrPortFrom(netip.AddrFrom16(a), port), t.V6
	}
	a := [4]byte{11}
	binary.BigEndian.PutUint32(a[:], 11<<24|random.Uint32()>>8)
	return netip.AddrPortFrom(netip.AddrFrom4(a), port), t.V4
}

// synOptions are those of a Linux client: MSS 1460, SACK, timestamps, scale 7.
var synOptions = []byte{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7}
