package config

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/wire"
)

// Key is the cluster's secret. Every use derives its own from it, so that one
// that leaks does not give the others away. It is never printed.
type Key [32]byte

// String hides the key.
func (Key) String() string { return "[secret]" }

// GoString hides the key from %#v.
func (k Key) GoString() string { return k.String() }

// Format hides the key from every verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// MarshalText hides the key from encoders.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// derive is HKDF-SHA256 (RFC 5869) with a label of its own per use: two words.
func (k Key) derive(label string) [2]uint64 {
	b, err := hkdf.Key(sha256.New, k[:], nil, "weir "+label, 16)
	if err != nil {
		// Only an output longer than 255 digests fails.
		panic("config: " + err.Error())
	}
	return [2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// KeySet is all that a cluster keeps secret.
type KeySet struct {
	// Base places flows on the ring, orders servers and spreads flows over
	// workers. It is never rotated: that would move every flow (S-70).
	Base Key
	// Control keys tag control datagrams and make initial sequence numbers. The
	// first one is used; the others are of a rotation under way, and accepted.
	Control []ControlKey
}

// ControlKey is a key with the id that datagrams carry.
type ControlKey struct {
	ID uint32
	Key
}

// soleKey is the key set of a cluster file: it never rotates.
func soleKey(k Key) KeySet { return KeySet{Base: k, Control: []ControlKey{{ID: 1, Key: k}}} }

// Seals are the keys of control datagrams (S-113), the one to seal with first.
func (s *KeySet) Seals() []wire.ControlKey {
	var out []wire.ControlKey
	for _, k := range s.Control {
		w := k.derive("control")
		out = append(out, wire.ControlKey{ID: k.ID, Key: wire.Key{K0: w[0], K1: w[1]}})
	}
	return out
}

// Cookies make and verify initial sequence numbers (S-12), the one to make with first.
func (s *KeySet) Cookies() []wire.Key {
	var out []wire.Key
	for _, k := range s.Control {
		w := k.derive("cookie")
		out = append(out, wire.Key{K0: w[0], K1: w[1]})
	}
	return out
}

// Ring places flows on the ring (S-70).
func (s *KeySet) Ring() flow.Seed { return s.Base.derive("ring") }

// Ranking orders the servers of a flow's offers (S-18).
func (s *KeySet) Ranking() flow.Seed { return s.Base.derive("ranking") }

// Secrets are all of one node's; only Steering differs between nodes.
func (s *KeySet) Secrets(nodeID string) lbnode.Secrets {
	return lbnode.Secrets{
		Control:  s.Seals(),
		Cookie:   s.Cookies(),
		Ring:     s.Ring(),
		Ranking:  s.Ranking(),
		Steering: s.Base.derive("steering " + nodeID),
	}
}

// placeSeed is the place of a node or server in rings and rankings. It follows
// from the id alone: a new cluster key moves nothing by itself.
func placeSeed(kind, id string) uint64 {
	sum := sha256.Sum256([]byte("weir " + kind + " " + id))
	return binary.LittleEndian.Uint64(sum[:])
}
