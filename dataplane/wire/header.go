// Package wire is the form of Weir's own datagrams: encapsulation, the fixed
// control header, tracker messages. All numbers are big-endian. Encoding and
// decoding allocate nothing.
package wire

import (
	"encoding/binary"
	"errors"

	"github.com/dchest/siphash"
)

// UDP ports (contract.md).
const (
	PortData      = 6080 // GUE variant 1
	PortTracker   = 6081 // tracker messages
	PortPublish   = 6082 // publications from modules
	PortPublished = 6083 // publications between nodes
	PortPing      = 6084 // health pings
	PortGossip    = 6085 // heartbeat lists
)

// Version is the version of the control header.
const Version = 1

// HeaderSize is the size of the fixed header in bytes.
const HeaderSize = 40

// Role of a sender: nodes and servers are numbered independently.
const (
	RoleNode   = 0
	RoleServer = 1
)

// Header begins every control datagram (S-19).
//
//	 0        1        2        3        4        5        6        7
//	+--------+--------+--------+--------+--------+--------+--------+--------+
//	|version | type   | sender number   | worker | role   | length (bytes)  |
//	+--------+--------+--------+--------+--------+--------+--------+--------+
//	| boot id: random per start of the sender                               |
//	| sequence number: rises by one per datagram of one sender's worker     |
//	| ring epoch                        | key id                            |
//	| tag: SipHash-2-4 over the whole datagram, this field zero             |
//	+-----------------------------------------------------------------------+
type Header struct {
	Type   uint8
	Worker uint8
	Role   uint8  // RoleNode or RoleServer
	Sender uint16 // number of the node or server in the configuration
	Length uint16 // whole datagram
	Boot   uint64
	Seq    uint64
	Epoch  uint32
	KeyID  uint32
}

// Key authenticates control datagrams; it is a SipHash key.
type Key struct{ K0, K1 uint64 }

// Errors of Open. Each has its own drop counter.
var (
	ErrShort   = errors.New("control datagram shorter than its header")
	ErrVersion = errors.New("control datagram of another version")
	ErrLength  = errors.New("control datagram's length field disagrees with its size")
	ErrTag     = errors.New("control datagram's tag is wrong")
)

// Seal writes the header over the first HeaderSize bytes of d, the whole
// datagram, whose body is already in place, and tags it.
func Seal(d []byte, h *Header, k Key) {
	_ = d[HeaderSize-1]
	d[0] = Version
	d[1] = h.Type
	binary.BigEndian.PutUint16(d[2:], h.Sender)
	d[4] = h.Worker
	d[5] = h.Role
	binary.BigEndian.PutUint16(d[6:], uint16(len(d)))
	binary.BigEndian.PutUint64(d[8:], h.Boot)
	binary.BigEndian.PutUint64(d[16:], h.Seq)
	binary.BigEndian.PutUint32(d[24:], h.Epoch)
	binary.BigEndian.PutUint32(d[28:], h.KeyID)
	binary.BigEndian.PutUint64(d[32:], 0)
	binary.BigEndian.PutUint64(d[32:], siphash.Hash(k.K0, k.K1, d))
}

// Open checks a datagram that is sealed with a known key, and reads its header.
func Open(d []byte, h *Header, k Key) error {
	if err := ReadHeader(d, h); err != nil {
		return err
	}
	return Verify(d, k)
}

// ReadHeader reads the header of a datagram, which may be forged: it names the
// sender and the key to Verify it with.
func ReadHeader(d []byte, h *Header) error {
	if len(d) < HeaderSize {
		return ErrShort
	}
	if d[0] != Version {
		return ErrVersion
	}
	if int(binary.BigEndian.Uint16(d[6:])) != len(d) {
		return ErrLength
	}
	*h = Header{
		Type:   d[1],
		Sender: binary.BigEndian.Uint16(d[2:]),
		Worker: d[4],
		Role:   d[5],
		Length: binary.BigEndian.Uint16(d[6:]),
		Boot:   binary.BigEndian.Uint64(d[8:]),
		Seq:    binary.BigEndian.Uint64(d[16:]),
		Epoch:  binary.BigEndian.Uint32(d[24:]),
		KeyID:  binary.BigEndian.Uint32(d[28:]),
	}
	return nil
}

// Verify checks the tag of a datagram whose header was read. d is as before
// afterwards.
func Verify(d []byte, k Key) error {
	tag := binary.BigEndian.Uint64(d[32:])
	binary.BigEndian.PutUint64(d[32:], 0)
	ok := siphash.Hash(k.K0, k.K1, d) == tag
	binary.BigEndian.PutUint64(d[32:], tag)
	if !ok {
		return ErrTag
	}
	return nil
}
