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

// Control tags control datagrams (S-113).
func (k Key) Control() wire.Key { w := k.derive("control"); return wire.Key{K0: w[0], K1: w[1]} }

// Cookie makes initial sequence numbers (S-12).
func (k Key) Cookie() wire.Key { w := k.derive("cookie"); return wire.Key{K0: w[0], K1: w[1]} }

// Ring places flows on the ring (S-70).
func (k Key) Ring() flow.Seed { return k.derive("ring") }

// Ranking orders the servers of a flow's offers (S-18).
func (k Key) Ranking() flow.Seed { return k.derive("ranking") }

// Secrets are all of one node's; only Steering differs between nodes.
func (k Key) Secrets(nodeID string) lbnode.Secrets {
	return lbnode.Secrets{
		Control:  k.Control(),
		Cookie:   k.Cookie(),
		Ring:     k.Ring(),
		Ranking:  k.Ranking(),
		Steering: k.derive("steering " + nodeID),
	}
}

// placeSeed is the place of a node or server in rings and rankings. It follows
// from the id alone: a new cluster key moves nothing by itself.
func placeSeed(kind, id string) uint64 {
	sum := sha256.Sum256([]byte("weir " + kind + " " + id))
	return binary.LittleEndian.Uint64(sum[:])
}
