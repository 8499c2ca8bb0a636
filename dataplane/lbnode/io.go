package lbnode

import "weir/dataplane/packet"

// IO is how a worker gets and gives up frames outside the burst in hand:
// messages it makes, packets it held. Packets that are forwarded never cross
// it; they carry their verdict in place.
type IO interface {
	// Alloc gives an empty frame (Len 0) with at least 128 bytes of head room
	// and 1600 of tail room; false when the pool is empty.
	Alloc() (packet.Buf, bool)
	// Send takes the frame and transmits it on its Port, after what was sent before.
	Send(packet.Buf)
	// Free takes back a frame that was held.
	Free(packet.Buf)
}

// Limits bound a worker's memory; all of it is allocated at start (S-86).
type Limits struct {
	Flows    int // established flows, at ingress and at the trackers each
	HalfOpen int // half-open flows at the trackers; at most 65 536 (S-12)
	Held     int // packets held before their mapping is known, all flows together
}
