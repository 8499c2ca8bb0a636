package wire

import "encoding/binary"

// Bits of ListedNode.Flags.
const (
	ListedHealthy = 1 << 0
	ListedIngress = 1 << 1
	ListedTracker = 1 << 2 // in the ring
	ListedEgress  = 1 << 3 // may carry replies
)

// ListedNode is one node of a node list, 12 bytes: number 2, flags 1, zero 1, boot 8.
type ListedNode struct {
	Number uint16
	Flags  uint8
	Boot   uint64 // of its dataplane
}

const listedSize = 12

// MaxListed is how many nodes one datagram lists; longer lists take several.
const MaxListed = 110

// NodeList tells a module which nodes there are (S-25, S-55).
//
//	40 nonce: the one that the module gave in its last acknowledgement (8)
//	48 challenge: comes back in the acknowledgement and proves the module's boot id (8)
//	56 version of the sender's view (4)
//	60 part, from 0 (1)  61 parts (1)  62 entries (2)
//	64 entries
type NodeList struct {
	Header
	Nonce     uint64
	Challenge uint64
	Version   uint32
	Part      uint8
	Parts     uint8
	Nodes     []ListedNode
}

// PutNodeList encodes and seals l into d and returns its length. d has room for
// 64 + 12 × len(l.Nodes) bytes, and l at most MaxListed nodes.
func PutNodeList(d []byte, l *NodeList, k Key) int {
	n := PingSize + listedSize*len(l.Nodes)
	d = d[:n]
	b := binary.BigEndian
	b.PutUint64(d[40:], l.Nonce)
	b.PutUint64(d[48:], l.Challenge)
	b.PutUint32(d[56:], l.Version)
	d[60], d[61] = l.Part, l.Parts
	b.PutUint16(d[62:], uint16(len(l.Nodes)))
	for i, e := range l.Nodes {
		at := d[PingSize+i*listedSize:]
		b.PutUint16(at, e.Number)
		at[2], at[3] = e.Flags, 0
		b.PutUint64(at[4:], e.Boot)
	}
	Seal(d, &l.Header, k)
	return n
}

// GetNodeList decodes d, whose header has been read and verified into h. The
// entries are appended to l.Nodes[:0].
func GetNodeList(d []byte, h *Header, l *NodeList) error {
	if len(d) < PingSize || h.Type != MsgNodeList {
		return ErrPing
	}
	b := binary.BigEndian
	count := int(b.Uint16(d[62:]))
	if count > MaxListed || len(d) != PingSize+listedSize*count || d[60] >= d[61] {
		return ErrPing
	}
	*l = NodeList{Header: *h, Nonce: b.Uint64(d[40:]), Challenge: b.Uint64(d[48:]), Version: b.Uint32(d[56:]),
		Part: d[60], Parts: d[61], Nodes: l.Nodes[:0]}
	for i := range count {
		at := d[PingSize+i*listedSize:]
		l.Nodes = append(l.Nodes, ListedNode{Number: b.Uint16(at), Flags: at[2], Boot: b.Uint64(at[4:])})
	}
	return nil
}

// NodeListAck is a module's answer to a node list. Header.Boot is the module's
// boot id, which the challenge proves.
//
//	40 challenge (8)  48 nonce for the next list (8)
//	56 version (4), 0 if the list came with a stale nonce and was not taken
//	60 part (1)  61 zero (3)
type NodeListAck struct {
	Header
	Challenge uint64
	Nonce     uint64
	Version   uint32
	Part      uint8
}

// PutNodeListAck encodes and seals a into d, which has PingSize bytes.
func PutNodeListAck(d []byte, a *NodeListAck, k Key) {
	d = d[:PingSize]
	b := binary.BigEndian
	b.PutUint64(d[40:], a.Challenge)
	b.PutUint64(d[48:], a.Nonce)
	b.PutUint32(d[56:], a.Version)
	b.PutUint32(d[60:], uint32(a.Part)<<24)
	Seal(d, &a.Header, k)
}

// GetNodeListAck decodes d, whose header has been read and verified into h.
func GetNodeListAck(d []byte, h *Header, a *NodeListAck) error {
	if len(d) != PingSize || h.Type != MsgNodeListAck {
		return ErrPing
	}
	b := binary.BigEndian
	*a = NodeListAck{Header: *h, Challenge: b.Uint64(d[40:]), Nonce: b.Uint64(d[48:]), Version: b.Uint32(d[56:]), Part: d[60]}
	return nil
}
