package simulation

import (
	"math/rand/v2"
	"time"
)

// link is what is wrong between a node and one of its buses.
type link struct {
	rand      *rand.Rand
	in, out   float64 // share of the frames that is lost on the way
	doubled   float64 // of both
	corrupted float64
}

// bad reports whether TCP does not get through.
func (l *link) bad() bool { return l.in >= 0.5 || l.out >= 0.5 }

// mend makes all well.
func (l *link) mend() { *l = link{rand: l.rand} }

// spread is how much later the second copy of a doubled frame comes at most.
const spread = 5 * time.Millisecond

// stage is the pipeline of one direction; loss says which share of it is lost.
func (l *link) stage(loss *float64) Stage {
	return func(k Packet, next func(Packet)) {
		if *loss > 0 && l.rand.Float64() < *loss {
			return
		}
		if l.corrupted > 0 && l.rand.Float64() < l.corrupted {
			CorruptStage(l.rand, 1)(k, next)
			return
		}
		next(k)
		if l.doubled > 0 && l.rand.Float64() < l.doubled {
			k.Delay += time.Duration(l.rand.Int64N(int64(spread)))
			next(k)
		}
	}
}
