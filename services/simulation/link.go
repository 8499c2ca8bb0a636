package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"weir/dataplane/wire"
)

// link is what is wrong between a node and one of its buses.
type link struct {
	rand      *rand.Rand
	in, out   float64 // share of the frames that is lost on the way
	doubled   float64 // of both
	corrupted float64 // of control datagrams: a bit flips
}

// bad reports whether TCP does not get through.
func (l *link) bad() bool { return l.in >= 0.5 || l.out >= 0.5 }

// mend makes all well, but for what it is like at all times.
func (l *link) mend() { *l = link{rand: l.rand, corrupted: l.corrupted} }

// spread is how much later the second copy of a doubled frame comes at most.
const spread = 5 * time.Millisecond

// stage is the pipeline of one direction; loss says which share of it is lost.
func (l *link) stage(loss *float64) Stage {
	return func(k Packet, next func(Packet)) {
		if *loss > 0 && l.rand.Float64() < *loss {
			return
		}
		if l.corrupted > 0 && l.rand.Float64() < l.corrupted {
			k.Frame = l.flip(k.Frame)
		}
		next(k)
		if l.doubled > 0 && l.rand.Float64() < l.doubled {
			k.Delay += time.Duration(l.rand.Int64N(int64(spread)))
			next(k)
		}
	}
}

// flip flips a bit of a control datagram; what others than us have sent it leaves alone.
func (l *link) flip(frame []byte) []byte {
	d, ok := parseFrame(frame)
	if !ok || d.Proto != protoUDP || d.Dst.Port() <= wire.PortData || d.Dst.Port() > wire.PortGossip || len(d.Payload) <= udpSize {
		return frame
	}
	flipped := slices.Clone(frame)
	body := flipped[len(flipped)-len(d.Payload)+udpSize:]
	body[l.rand.IntN(len(body))] ^= 1 << l.rand.IntN(8)
	return flipped
}
