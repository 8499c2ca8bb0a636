package wire

import (
	"encoding/binary"
	"errors"
)

// Types of datagrams on UDP 6084: health pings between nodes (S-51) and the
// lists of healthy nodes that checkers push to modules (S-55).
const (
	MsgPing        = 33 // checker→node; answered by the fast worker that Header.Worker names
	MsgPong        = 34 // node→checker, on the other side of both
	MsgNodeList    = 35 // node→module
	MsgNodeListAck = 36 // module→node
)

// PingSize is the size of pings, pongs and acknowledgements of node lists in bytes.
const PingSize = 64

// Sides of a ping's request; the answer takes the other one (S-51).
const (
	PingNorth = 0
	PingSouth = 1
)

// Ping is a health check between two nodes, or its answer. The nonce is fresh
// for every request, so an answer proves the boot ids that it carries: they
// need neither a clock nor a session (S-113).
//
//	40 nonce (8)
//	48 number of the checked node (2)
//	50 side of the request (1)  51 zero (1)  52 zero (4)
//	56 boot id of the control plane: the checker's in a ping, the checked node's in a pong (8)
//
// Header.Sender is who sends the datagram, Header.Boot the boot id of its
// dataplane (0 in a ping).
type Ping struct {
	Header
	Nonce uint64
	Node  uint16
	Side  uint8
	Noded uint64
}

// ErrPing says that a datagram is not one of this family.
var ErrPing = errors.New("not a ping, pong or node list")

// PutPing encodes and seals p into d, which has PingSize bytes.
func PutPing(d []byte, p *Ping, k Key) {
	d = d[:PingSize]
	b := binary.BigEndian
	b.PutUint64(d[40:], p.Nonce)
	b.PutUint16(d[48:], p.Node)
	d[50], d[51] = p.Side, 0
	b.PutUint32(d[52:], 0)
	b.PutUint64(d[56:], p.Noded)
	Seal(d, &p.Header, k)
}

// GetPing decodes d, whose header has been read and verified into h.
func GetPing(d []byte, h *Header, p *Ping) error {
	if len(d) != PingSize || h.Type != MsgPing && h.Type != MsgPong || d[50] > PingSouth {
		return ErrPing
	}
	b := binary.BigEndian
	*p = Ping{Header: *h, Nonce: b.Uint64(d[40:]), Node: b.Uint16(d[48:]), Side: d[50], Noded: b.Uint64(d[56:])}
	return nil
}
