package simulation

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// numbers is what a server's stack has sent of one connection, in its own
// numbering. Whatever the client acknowledges or echoes lies inside it, if
// translation is right (S-22).
type numbers struct {
	first, next   uint32 // sequence numbers
	oldTS, newTS  uint32
	hasTimestamps bool
}

// synAckSpan is how far apart the SYN/ACKs of one connection are that trackers
// may send, ms: a client may echo the timestamp of any of them.
const synAckSpan = 60_000

// sentBy notes a segment that the stack sent.
func (s *Server) sentBy(d datagram) {
	t := header.TCP(d.Payload)
	key := Tuple{d.Dst, d.Src}
	length := uint32(len(t.Payload()))
	if t.Flags().Intersects(header.TCPFlagSyn | header.TCPFlagFin) {
		length++
	}
	ts, has := timestamps(t)
	if t.Flags().Contains(header.TCPFlagSyn) {
		s.sent[key] = &numbers{first: t.SequenceNumber(), next: t.SequenceNumber() + 1, oldTS: ts[0], newTS: ts[0], hasTimestamps: has}
		return
	}
	n := s.sent[key]
	if n == nil || t.Flags().Contains(header.TCPFlagRst) {
		return
	}
	if end := t.SequenceNumber() + length; int32(end-n.next) > 0 {
		n.next = end
	}
	if has && int32(ts[0]-n.newTS) > 0 {
		n.newTS = ts[0]
	}
}

// checkReceived looks at a client's segment that the data path lets through.
// Where a tuple carries more than one connection, strangers' or the next one's
// segments reach a server as well, and it is for its stack to refuse them.
func (s *Server) checkReceived(d datagram) {
	t := header.TCP(d.Payload)
	key := Tuple{d.Src, d.Dst}
	n := s.sent[key]
	if n == nil || s.cluster.corrupts || s.cluster.Load.mixed[key] || !t.Flags().Contains(header.TCPFlagAck) || t.Flags().Contains(header.TCPFlagRst) {
		return
	}
	inside := func(what string, at, low, high uint32) {
		if int32(at-low) < 0 || int32(high-at) < 0 {
			s.sim.Violate("server %s, %s > %s: %s is %d, outside of %d to %d", s.ID, d.Src, d.Dst, what, at, low, high)
		}
	}
	inside("the acknowledgement", t.AckNumber(), n.first+1, n.next)
	if ts, has := timestamps(t); has && n.hasTimestamps {
		// Until the client has heard more than the SYN/ACK the module may echo
		// nothing, lest the stack measure its own handshake.
		if ts[1] != 0 || t.AckNumber() != n.first+1 {
			inside("the echoed timestamp", ts[1], n.oldTS-synAckSpan, n.newTS+synAckSpan)
		}
	} else if has != n.hasTimestamps {
		s.sim.Violate("server %s, %s > %s: timestamps %v, in the server's SYN/ACK %v", s.ID, d.Src, d.Dst, has, n.hasTimestamps)
	}
	eachOption(t, func(kind byte, value []byte) {
		if kind != header.TCPOptionSACK {
			return
		}
		for ; len(value) >= 4; value = value[4:] {
			inside("a SACK edge", binary.BigEndian.Uint32(value), n.first, n.next)
		}
	})
}

// timestamps are TSval and TSecr.
func timestamps(t header.TCP) (ts [2]uint32, has bool) {
	eachOption(t, func(kind byte, value []byte) {
		if kind == header.TCPOptionTS && len(value) == 8 {
			ts, has = [2]uint32{binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])}, true
		}
	})
	return ts, has
}

func eachOption(t header.TCP, visit func(kind byte, value []byte)) {
	o := t.Options()
	for len(o) > 0 && o[0] != header.TCPOptionEOL {
		if o[0] == header.TCPOptionNOP {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return
		}
		visit(o[0], o[2:o[1]])
		o = o[o[1]:]
	}
}
