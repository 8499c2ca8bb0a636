package wire

import (
	"encoding/binary"
	"errors"

	"weir/dataplane/flow"
)

// Types of publications (S-40). They have numbers of their own, apart from
// those of tracker messages.
const (
	MsgPublish   = 64 // module → node, UDP 6082: connections of that module
	MsgPublished = 65 // node → node, UDP 6083: the share of the receiver; never forwarded again (S-41)
)

// MaxPublish is the most bytes of a datagram of publications: with UDP and IP
// headers it fits an MTU of 1500.
const MaxPublish = 1472

// A datagram of publications is the fixed header and sections, each the
// connections of one server:
//
//	0 server (2)  2 number of entries (2)  4 entries
//
// An entry takes 24 bytes for IPv4 and 48 for IPv6:
//
//	0 protocol (1)  1 flags (1)  2 ingress (2)
//	4 client's port (2)  6 public port (2)
//	8 client ISN (4)  12 server ISN (4): the incarnation (S-2)
//	16 client's address (4 or 16), public address (4 or 16)
const (
	sectionSize  = 4
	entryFixed   = 16
	entrySize4   = entryFixed + 2*4
	entrySize6   = entryFixed + 2*16
	flagClosing  = 1 << 0
	flagIPv6     = 1 << 1
	flagHeard    = 1 << 2
	knownEntries = flagClosing | flagIPv6 | flagHeard
)

// MaxPublications is how many entries a datagram holds at most.
const MaxPublications = (MaxPublish - HeaderSize - sectionSize) / entrySize4

// ErrPublish says that a datagram is not one of publications.
var ErrPublish = errors.New("not a datagram of publications")

// Publication says that a server has a connection.
type Publication struct {
	Key       flow.Key
	ClientISN uint32
	ServerISN uint32
	Server    uint16
	Ingress   uint16 // node that the connection's packets came through last
	Closing   bool   // past its last useful data, both ways: TIME_WAIT and the like
	Heard     bool   // the client's packets have come to that server: it is not one that was offered the connection in vain
}

// Publications is a datagram in the making. The zero value is ready for use.
type Publications struct {
	// Max is the most bytes of the datagram, if that is less than MaxPublish: a
	// fabric may carry less than 1500.
	Max     int
	n       int // bytes of d in use; 0: empty
	section int // where the current section begins
	entries int // of all sections
	d       [MaxPublish]byte
}

// Len is the number of entries.
func (w *Publications) Len() int { return w.entries }

// Reset empties the datagram.
func (w *Publications) Reset() { w.n, w.entries = 0, 0 }

// Add appends an entry and reports whether there was room.
func (w *Publications) Add(p *Publication) bool {
	size := entrySize6
	is4 := p.Key.Is4()
	if is4 {
		size = entrySize4
	}
	b := binary.BigEndian
	at := max(w.n, HeaderSize)
	fresh := w.n == 0 || b.Uint16(w.d[w.section:]) != p.Server
	if fresh {
		size += sectionSize
	}
	if at+size > MaxPublish || w.Max > 0 && at+size > w.Max {
		return false
	}
	w.n = at + size
	if fresh {
		w.section = at
		b.PutUint16(w.d[at:], p.Server)
		b.PutUint16(w.d[at+2:], 0)
		at += sectionSize
	}
	b.PutUint16(w.d[w.section+2:], b.Uint16(w.d[w.section+2:])+1)
	w.entries++
	e := w.d[at:w.n]
	e[0], e[1] = p.Key.Proto, 0
	if p.Closing {
		e[1] |= flagClosing
	}
	if p.Heard {
		e[1] |= flagHeard
	}
	b.PutUint16(e[2:], p.Ingress)
	b.PutUint16(e[4:], p.Key.ClientPort)
	b.PutUint16(e[6:], p.Key.VIPPort)
	b.PutUint32(e[8:], p.ClientISN)
	b.PutUint32(e[12:], p.ServerISN)
	if is4 {
		copy(e[16:20], p.Key.Client[12:])
		copy(e[20:24], p.Key.VIP[12:])
	} else {
		e[1] |= flagIPv6
		copy(e[16:32], p.Key.Client[:])
		copy(e[32:48], p.Key.VIP[:])
	}
	return true
}

// Datagram is the whole datagram, not sealed; good until the next Add or Reset.
func (w *Publications) Datagram() []byte { return w.d[:max(w.n, HeaderSize)] }

// PublicationReader goes through the entries of a datagram.
type PublicationReader struct {
	d      []byte
	left   int // of the current section
	server uint16
}

// ReadPublications begins to read the body of a datagram, which the caller has
// opened. Nothing of a datagram that is not wholly well-formed is read.
func ReadPublications(d []byte) (PublicationReader, error) {
	if len(d) < HeaderSize || len(d) > MaxPublish || d[1] != MsgPublish && d[1] != MsgPublished {
		return PublicationReader{}, ErrPublish
	}
	r := PublicationReader{d: d[HeaderSize:]}
	for d = r.d; len(d) > 0; {
		if len(d) < sectionSize {
			return PublicationReader{}, ErrPublish
		}
		count := binary.BigEndian.Uint16(d[2:])
		if count == 0 {
			return PublicationReader{}, ErrPublish
		}
		d = d[sectionSize:]
		for range count {
			if len(d) < entrySize4 || d[1]&^knownEntries != 0 {
				return PublicationReader{}, ErrPublish
			}
			size := entrySize(d)
			if len(d) < size || size == entrySize6 && mapped(d[entryFixed:]) {
				return PublicationReader{}, ErrPublish
			}
			d = d[size:]
		}
	}
	return r, nil
}

// mapped reports whether an address is IPv4 in IPv6 form: such a flow has the
// short entry, and no other.
func mapped(a []byte) bool {
	return string(a[:12]) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"
}

func entrySize(e []byte) int {
	if e[1]&flagIPv6 != 0 {
		return entrySize6
	}
	return entrySize4
}

// Next reads the next entry; false at the end.
func (r *PublicationReader) Next(p *Publication) bool {
	if len(r.d) == 0 {
		return false
	}
	b := binary.BigEndian
	if r.left == 0 {
		r.server, r.left = b.Uint16(r.d), int(b.Uint16(r.d[2:]))
		r.d = r.d[sectionSize:]
	}
	e := r.d[:entrySize(r.d)]
	*p = Publication{Server: r.server, Ingress: b.Uint16(e[2:]), Closing: e[1]&flagClosing != 0, Heard: e[1]&flagHeard != 0,
		ClientISN: b.Uint32(e[8:]), ServerISN: b.Uint32(e[12:])}
	k := &p.Key
	if len(e) == entrySize4 {
		k.SetIPv4([4]byte(e[16:]), [4]byte(e[20:]))
	} else {
		copy(k.Client[:], e[16:32])
		copy(k.VIP[:], e[32:48])
	}
	k.Proto, k.ClientPort, k.VIPPort = e[0], b.Uint16(e[4:]), b.Uint16(e[6:])
	r.d = r.d[len(e):]
	r.left--
	return true
}
