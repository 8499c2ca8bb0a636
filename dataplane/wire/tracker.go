package wire

import (
	"encoding/binary"
	"errors"

	"weir/dataplane/flow"
)

// Types of tracker messages (UDP 6081). They all have one form, Tracker; a
// type says which fields carry meaning. I ingress, P primary, S secondary, M
// module. Every one of them may be lost, doubled, delayed or reordered (S-10).
const (
	MsgSyn        = 1  // I→P  a client's SYN without a mapping
	MsgSynStore   = 2  // P→S  the same with the server-side ISN; S sends the SYN/ACK
	MsgSynBusy    = 3  // P→I  half-open bound reached: answer with a cookie yourself
	MsgQuery      = 4  // I→P, then I→S  a packet of an unknown flow: where to?
	MsgChoice     = 5  // P→S  server chosen for offer n
	MsgOffer      = 6  // S→M  fabricated SYN
	MsgAccept     = 7  // M→S  taken; repeated until MsgCommit
	MsgReject     = 8  // M→S  not taken; TTL is already decremented
	MsgRejected   = 9  // S→P  offer n was rejected
	MsgMapped     = 10 // S→P  mapping committed at the secondary
	MsgMappedAck  = 11 // P→S  … and at the primary
	MsgCommit     = 12 // S→M  both trackers hold the mapping
	MsgMapping    = 13 // P→I, S→I  answer to a query: server and incarnation
	MsgUnknown    = 14 // P→I, S→I  answer to a query: no state here
	MsgRefused    = 15 // P→I  TTL exhausted: reset the client
	MsgSuperseded = 16 // P→S, S→M  offer n lost to another; end silently
	MsgNotHere    = 17 // M→I  the packet's flow is not on this server
	MsgGone       = 18 // I→P, I→S  server says not here: forget this mapping; P→I  its tuple is in use again
	MsgSync       = 19 // T→T  a committed mapping, after a change of the ring (S-72)
	MsgSyncAck    = 20 // T→T  … taken
	msgLast       = 20
)

// NumMsgs is one more than the highest type.
const NumMsgs = msgLast + 1

// MsgNames are the types' names in metrics.
var MsgNames = [NumMsgs]string{
	MsgSyn: "syn", MsgSynStore: "syn_store", MsgSynBusy: "syn_busy", MsgQuery: "query", MsgChoice: "choice",
	MsgOffer: "offer", MsgAccept: "accept", MsgReject: "reject", MsgRejected: "rejected", MsgMapped: "mapped",
	MsgMappedAck: "mapped_ack", MsgCommit: "commit", MsgMapping: "mapping", MsgUnknown: "unknown",
	MsgRefused: "refused", MsgSuperseded: "superseded", MsgNotHere: "not_here", MsgGone: "gone",
	MsgSync: "sync", MsgSyncAck: "sync_ack",
}

// Option bits of Tracker.Options.
const (
	OptSACK       = 1 << 0
	OptTimestamps = 1 << 1
	OptMustAccept = 1 << 2 // last offer, and the endpoint's policy says the last server must accept (S-33)
	OptForwarded  = 1 << 3 // of a query: came from another tracker, under another view of the ring (S-71)
	OptHeld       = 1 << 4 // of a query: the packet was held for so long that its tuple may be in use again
	OptClosing    = 1 << 5 // of MsgSync: the connection is closing
	OptUnheard    = 1 << 6 // of MsgSync: its server has not heard its client
)

// NoWScale in Tracker.WScale says that window scaling was not offered.
const NoWScale = 255

// Reasons of a rejection, in Tracker.Reason.
const (
	RejectNone        = 0
	RejectCPU         = 1
	RejectBandwidth   = 2
	RejectConnections = 3
	RejectBacklog     = 4
	RejectDraining    = 5
	RejectTuple       = 6 // four-tuple is live here (S-24)
	RejectRST         = 7 // the server answered with RST
	RejectSilence     = 8 // the server did not answer within 200 ms
	RejectOptions     = 9 // promised options cannot be honoured
	RejectEndpoint    = 10
	RejectUnreachable = 11 // set by the secondary: the module did not answer
)

// TrackerSize is the size of a tracker datagram, header included, in bytes.
const TrackerSize = 128

// KeyOffset is where the flow key stands in a tracker datagram; the receive
// stage steers by it without opening the message.
const KeyOffset = HeaderSize

// Tracker is the one form of all tracker messages.
//
//	 40 flow key (40)
//	 80 client ISN (4)       84 server ISN (4): the incarnation (S-2)
//	 88 TSval (4)            92 TSecr (4)
//	 96 sequence (4)        100 acknowledgement (4)
//	104 MSS (2)             106 window (2)
//	108 window scale (1) 109 options (1) 110 TCP flags (1) 111 offer (1)
//	112 TTL (1) 113 reason (1)           114 server (2)
//	116 ingress (2)  118 primary (2)  120 secondary (2)  122 payload length (2)
//	124 reserved, zero (4)
type Tracker struct {
	Header
	Key       flow.Key
	ClientISN uint32 // the client's initial sequence number
	ServerISN uint32 // the one the trackers chose
	TSval     uint32 // the client's timestamp, from its SYN if known, else from its ACK
	TSecr     uint32 // our timestamp: of the SYN/ACK in MsgSynStore, as echoed by the client from MsgQuery on
	Seq       uint32 // of the client's packet
	Ack       uint32
	MSS       uint16 // of the client, rounded down to what a cookie can carry and clamped to the fabric
	Window    uint16 // of the client's packet, unscaled
	WScale    uint8  // of the client, or NoWScale
	Options   uint8
	TCPFlags  uint8
	Offer     uint8 // number of the offer, from 0; also how often it was rejected before (S-32)
	TTL       uint8 // offers left, this one included
	Reason    uint8
	Server    uint16 // number in the configuration
	Ingress   uint16
	Primary   uint16
	Secondary uint16
	Payload   uint16 // payload bytes of the client's packet
}

// ErrTracker says that a datagram is not a tracker message.
var ErrTracker = errors.New("not a tracker message")

// PutTracker encodes and seals m into d, which has TrackerSize bytes.
func PutTracker(d []byte, m *Tracker, k Key) {
	d = d[:TrackerSize]
	b := binary.BigEndian
	m.Key.Put(d[40:])
	b.PutUint32(d[80:], m.ClientISN)
	b.PutUint32(d[84:], m.ServerISN)
	b.PutUint32(d[88:], m.TSval)
	b.PutUint32(d[92:], m.TSecr)
	b.PutUint32(d[96:], m.Seq)
	b.PutUint32(d[100:], m.Ack)
	b.PutUint16(d[104:], m.MSS)
	b.PutUint16(d[106:], m.Window)
	d[108], d[109], d[110], d[111] = m.WScale, m.Options, m.TCPFlags, m.Offer
	d[112], d[113] = m.TTL, m.Reason
	b.PutUint16(d[114:], m.Server)
	b.PutUint16(d[116:], m.Ingress)
	b.PutUint16(d[118:], m.Primary)
	b.PutUint16(d[120:], m.Secondary)
	b.PutUint16(d[122:], m.Payload)
	b.PutUint32(d[124:], 0)
	Seal(d, &m.Header, k)
}

// GetTracker opens and decodes d.
func GetTracker(d []byte, m *Tracker, k Key) error {
	if err := Open(d, &m.Header, k); err != nil {
		return err
	}
	return DecodeTracker(d, m)
}

// DecodeTracker decodes the body of d, whose header has been read into m.Header
// and verified.
func DecodeTracker(d []byte, m *Tracker) error {
	if len(d) != TrackerSize || m.Type == 0 || m.Type > msgLast {
		return ErrTracker
	}
	b := binary.BigEndian
	m.Key.Get(d[40:])
	m.ClientISN = b.Uint32(d[80:])
	m.ServerISN = b.Uint32(d[84:])
	m.TSval = b.Uint32(d[88:])
	m.TSecr = b.Uint32(d[92:])
	m.Seq = b.Uint32(d[96:])
	m.Ack = b.Uint32(d[100:])
	m.MSS = b.Uint16(d[104:])
	m.Window = b.Uint16(d[106:])
	m.WScale, m.Options, m.TCPFlags, m.Offer = d[108], d[109], d[110], d[111]
	m.TTL, m.Reason = d[112], d[113]
	m.Server = b.Uint16(d[114:])
	m.Ingress = b.Uint16(d[116:])
	m.Primary = b.Uint16(d[118:])
	m.Secondary = b.Uint16(d[120:])
	m.Payload = b.Uint16(d[122:])
	return nil
}
