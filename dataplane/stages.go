package main

import (
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
)

// steering is lbnode's, called per burst.
type steering struct{ *lbnode.Steering }

func (s steering) Steer(bufs []packet.Buf, to []int8) {
	for i := range bufs {
		to[i] = int8(s.Steering.Steer(&bufs[i]))
	}
}
