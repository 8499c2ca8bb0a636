package wire

import (
	"encoding/binary"
	"errors"
)

// MsgGossip is the type of all datagrams on UDP 6085 (S-53). They are sealed
// with the control key; Header.Boot is the boot id of the sender's control
// plane, which the receiver knows from a pong, and Header.Seq rises by one per
// datagram.
const MsgGossip = 48

// MaxGossip is the most bytes of a gossip datagram, header included.
const MaxGossip = 1400

// Flags of a node's record; the node itself sets them.
const (
	NodeTrack    = 1 << 0 // it is in the ring
	NodeSpeak    = 1 << 1 // it opens BGP sessions for its neighbours
	NodeAnnounce = 1 << 2 // its neighbours may announce it
	NodeLeaving  = 1 << 3 // it drains
)

// NodeRecord is a node in gossip: what it says of itself, and how often others
// found it well (S-50). A record with Version 0 is not its own: somebody met it
// and has not heard its record yet.
//
//	 0 number (2)  2 flags (1)  3 zero (1)
//	 4 boot id of its dataplane (8)
//	12 boot id of its control plane (8)
//	20 version: rises whenever the node changes its record (8)
//	28 ring epoch for which its dataplane has finished synchronising; 0: none (4)
//	32 heartbeats, of this boot of its dataplane; 0: the sender vouches for none (8)
//	40 nodes that it announces, in sessions that are established with all routers; 0: none (2, 2)
type NodeRecord struct {
	Number  uint16
	Flags   uint8
	Boot    uint64
	Noded   uint64
	Version uint64
	Synced  uint32
	Beats   uint64
	// Announces are at most two: each node has two slots for sessions (S-60).
	Announces [2]uint16
}

// ServerRecord is a server in gossip (S-55).
//
//	 0 number (2)  2 bit 0: healthy, bit 1: alive, in the sender's view (1)  3 zero (1)
//	 4 boot id of its module; 0: not known (8)
//	12 heartbeats: L7 pings that succeeded (8)
//	20 signs of life of any kind (8)
type ServerRecord struct {
	Number  uint16
	Healthy bool
	Alive   bool
	Boot    uint64
	Beats   uint64
	Life    uint64
}

// DeathFinal in Death.Beats says that the boot id is of the past: the node was
// seen with another one. Nothing refutes that.
const DeathFinal = ^uint64(0)

// Death says that a node is dead (S-57). A record of the same boot with clearly
// more heartbeats refutes it.
//
//	 0 number (2)  2 who found out (2)
//	 4 boot id of its dataplane (8)
//	12 heartbeats when it died (8)
type Death struct {
	Number uint16
	By     uint16
	Boot   uint64
	Beats  uint64
}

// Ask asks for a second opinion on a node that does not answer.
//
//	0 number (2)  2 ms since the first check that failed was sent (2)
//	4 boot id of its dataplane (8)
type Ask struct {
	Number uint16
	Since  uint16
	Boot   uint64
}

// Opinion answers an Ask.
//
//	0 number (2)  2 bit 0: it answered us in that time (1)  3 zero (1)
//	4 boot id of its dataplane (8)
type Opinion struct {
	Number uint16
	Alive  bool
	Boot   uint64
}

// Gossip is the one form of all gossip datagrams.
//
//	40 round (4)  44 part, from 0 (1)  45 parts (1)  46 flags (1)  47 zero (1)
//	48 sections: kind (1), zero (1), entries (2), the entries
//
// One round of a sender may take several datagrams; each stands for itself.
type Gossip struct {
	Round  uint32
	Part   uint8
	Parts  uint8
	Pull   bool // send me everything that you know
	Answer bool // part of an answer to Pull

	Deaths   []Death
	Asks     []Ask
	Opinions []Opinion
	Nodes    []NodeRecord
	Servers  []ServerRecord
}

// ErrGossip says that a datagram is not gossip.
var ErrGossip = errors.New("not a gossip datagram")

const (
	gossipStart   = 48
	gossipSection = 4

	sectionDeaths   = 1
	sectionAsks     = 2
	sectionOpinions = 3
	sectionNodes    = 4
	sectionServers  = 5

	deathSize   = 20
	askSize     = 12
	opinionSize = 12
	nodeSize    = 44
	serverSize  = 28

	flagPull   = 1 << 0
	flagAnswer = 1 << 1
)

// Reset empties g and keeps its memory.
func (g *Gossip) Reset() {
	*g = Gossip{Deaths: g.Deaths[:0], Asks: g.Asks[:0], Opinions: g.Opinions[:0], Nodes: g.Nodes[:0], Servers: g.Servers[:0]}
}

// Empty reports that g says nothing.
func (g *Gossip) Empty() bool {
	return !g.Pull && !g.Answer && len(g.Deaths)+len(g.Asks)+len(g.Opinions)+len(g.Nodes)+len(g.Servers) == 0
}

// section begins a section at the end of d and returns d and its entries.
func section(d []byte, kind uint8, entries, size int) ([]byte, []byte) {
	if entries == 0 {
		return d, nil
	}
	n := len(d)
	d = d[:n+gossipSection+entries*size]
	d[n], d[n+1] = kind, 0
	binary.BigEndian.PutUint16(d[n+2:], uint16(entries))
	return d, d[n+gossipSection:]
}

// PutGossip encodes g into d behind the header, which it leaves to Seal, and
// returns the length of the datagram. d has room for MaxGossip bytes and g is a
// part that Split made.
func PutGossip(d []byte, g *Gossip) int {
	b := binary.BigEndian
	b.PutUint32(d[40:], g.Round)
	d[44], d[45], d[46], d[47] = g.Part, g.Parts, 0, 0
	if g.Pull {
		d[46] |= flagPull
	}
	if g.Answer {
		d[46] |= flagAnswer
	}
	out, e := section(d[:gossipStart], sectionDeaths, len(g.Deaths), deathSize)
	for i := range g.Deaths {
		r, at := &g.Deaths[i], e[i*deathSize:]
		b.PutUint16(at, r.Number)
		b.PutUint16(at[2:], r.By)
		b.PutUint64(at[4:], r.Boot)
		b.PutUint64(at[12:], r.Beats)
	}
	out, e = section(out, sectionAsks, len(g.Asks), askSize)
	for i := range g.Asks {
		r, at := &g.Asks[i], e[i*askSize:]
		b.PutUint16(at, r.Number)
		b.PutUint16(at[2:], r.Since)
		b.PutUint64(at[4:], r.Boot)
	}
	out, e = section(out, sectionOpinions, len(g.Opinions), opinionSize)
	for i := range g.Opinions {
		r, at := &g.Opinions[i], e[i*opinionSize:]
		b.PutUint16(at, r.Number)
		at[2], at[3] = 0, 0
		if r.Alive {
			at[2] = 1
		}
		b.PutUint64(at[4:], r.Boot)
	}
	out, e = section(out, sectionNodes, len(g.Nodes), nodeSize)
	for i := range g.Nodes {
		r, at := &g.Nodes[i], e[i*nodeSize:]
		b.PutUint16(at, r.Number)
		at[2], at[3] = r.Flags, 0
		b.PutUint64(at[4:], r.Boot)
		b.PutUint64(at[12:], r.Noded)
		b.PutUint64(at[20:], r.Version)
		b.PutUint32(at[28:], r.Synced)
		b.PutUint64(at[32:], r.Beats)
		b.PutUint16(at[40:], r.Announces[0])
		b.PutUint16(at[42:], r.Announces[1])
	}
	out, e = section(out, sectionServers, len(g.Servers), serverSize)
	for i := range g.Servers {
		r, at := &g.Servers[i], e[i*serverSize:]
		b.PutUint16(at, r.Number)
		at[2], at[3] = 0, 0
		if r.Healthy {
			at[2] |= 1
		}
		if r.Alive {
			at[2] |= 2
		}
		b.PutUint64(at[4:], r.Boot)
		b.PutUint64(at[12:], r.Beats)
		b.PutUint64(at[20:], r.Life)
	}
	return len(out)
}

// GetGossip decodes d, whose header has been read and verified, into g, whose
// memory it uses again.
func GetGossip(d []byte, g *Gossip) error {
	g.Reset()
	if len(d) < gossipStart || d[1] != MsgGossip {
		return ErrGossip
	}
	b := binary.BigEndian
	g.Round, g.Part, g.Parts = b.Uint32(d[40:]), d[44], d[45]
	g.Pull, g.Answer = d[46]&flagPull != 0, d[46]&flagAnswer != 0
	for e := d[gossipStart:]; len(e) > 0; {
		if len(e) < gossipSection {
			return ErrGossip
		}
		kind, n := e[0], int(b.Uint16(e[2:]))
		e = e[gossipSection:]
		size := [...]int{sectionDeaths: deathSize, sectionAsks: askSize, sectionOpinions: opinionSize,
			sectionNodes: nodeSize, sectionServers: serverSize}
		if kind == 0 || int(kind) >= len(size) || n == 0 || n*size[kind] > len(e) {
			return ErrGossip
		}
		for ; n > 0; n-- {
			g.entry(kind, e)
			e = e[size[kind]:]
		}
	}
	return nil
}

func (g *Gossip) entry(kind uint8, e []byte) {
	b := binary.BigEndian
	number := b.Uint16(e)
	switch kind {
	case sectionDeaths:
		g.Deaths = append(g.Deaths, Death{number, b.Uint16(e[2:]), b.Uint64(e[4:]), b.Uint64(e[12:])})
	case sectionAsks:
		g.Asks = append(g.Asks, Ask{number, b.Uint16(e[2:]), b.Uint64(e[4:])})
	case sectionOpinions:
		g.Opinions = append(g.Opinions, Opinion{number, e[2]&1 != 0, b.Uint64(e[4:])})
	case sectionNodes:
		g.Nodes = append(g.Nodes, NodeRecord{Number: number, Flags: e[2], Boot: b.Uint64(e[4:]), Noded: b.Uint64(e[12:]),
			Version: b.Uint64(e[20:]), Synced: b.Uint32(e[28:]), Beats: b.Uint64(e[32:]),
			Announces: [2]uint16{b.Uint16(e[40:]), b.Uint16(e[42:])}})
	case sectionServers:
		g.Servers = append(g.Servers, ServerRecord{number, e[2]&1 != 0, e[2]&2 != 0, b.Uint64(e[4:]), b.Uint64(e[12:]), b.Uint64(e[20:])})
	}
}
