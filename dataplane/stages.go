package main

import (
	"math"

	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
)

// slowStage is the slow worker as the engine wants it; it has no timers.
type slowStage struct{ *lbnode.Slow }

func (slowStage) Tick(int64) int64 { return math.MaxInt64 }

// steering is lbnode's, called per burst.
type steering struct{ *lbnode.Steering }

func (s steering) Steer(bufs []packet.Buf, to []int8) {
	for i := range bufs {
		to[i] = int8(s.Steering.Steer(&bufs[i]))
	}
}
