package agent

import "weir/dataplane/wire"

// Counters of the core. Every drop and every answer has a name (S-111).
type Counters struct {
	Offers         uint64
	OffersRepeated uint64 // answered from memory (S-10)
	Accepted       uint64
	Forced         uint64     // of those, taken in spite of the load (S-32, S-33)
	Rejected       [12]uint64 // by wire.Reject…
	Committed      uint64
	Abandoned      uint64 // accepted, never committed
	Superseded     uint64
	NotHere        uint64
	NotHereLimited uint64
	SynAckRepeated uint64
	StrayFrames    uint64 // from the kernel, of no handshake
	BadFrames      uint64 // not TCP over IP
	UnknownSender  uint64
	UnknownMessage uint64
	BadMessage     uint64 // malformed
	NotAuthentic   uint64
	Replayed       uint64
	StaleBoot      uint64 // of another life of the node than the lists tell of
	NotIntroduced  uint64 // not sent: no list told the node's boot id yet
	Publications   uint64 // datagrams
	Published      uint64 // connections in them
	ListsTaken     uint64
	ListsStale     uint64 // without the nonce of the last answer
	EgressChanged  uint64 // changes of who carries replies
	Collected      uint64 // flow entries whose socket was gone
	Evicted        uint64 // closing flow entries that made room
}

// Counters returns a copy.
func (c *Core) Counters() Counters { return c.counters }

// Established is how many connections the last walk of the flow map counted,
// and what was accepted since.
func (c *Core) Established() int {
	return c.gc.established + int(c.counters.Accepted-c.gc.acceptedThen)
}

// ReasonName is the metric label of a reason.
func ReasonName(reason uint8) string {
	if int(reason) < len(reasonNames) {
		return reasonNames[reason]
	}
	return "other"
}

var reasonNames = [...]string{
	wire.RejectNone: "none", wire.RejectCPU: "cpu", wire.RejectBandwidth: "bandwidth",
	wire.RejectConnections: "connections", wire.RejectBacklog: "backlog", wire.RejectDraining: "draining",
	wire.RejectTuple: "tuple", wire.RejectRST: "rst", wire.RejectSilence: "silence",
	wire.RejectOptions: "options", wire.RejectEndpoint: "endpoint", wire.RejectUnreachable: "unreachable",
}
