package lbnode

import (
	"encoding/binary"

	"github.com/dchest/siphash"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// A server-side initial sequence number is a keyed cookie (S-12): whoever has
// the cluster's cookie key can tell from the client's ACK alone that the ACK
// answers a SYN/ACK of ours, and which options were agreed.
//
//	client offers timestamps:  | MSS 3 | period 2 | tag 27 |, window scale and SACK in the TSval
//	client does not:           | MSS 3 | period 2 | window scale 4 | SACK 1 | tag 22 |
//
// TSval: | milliseconds, upper 26 bits | window scale 4 | SACK 1 | zero 1 |
const (
	cookiePeriod = 64 // seconds; a cookie is good for one to two periods, less the skew
	cookieSkew   = 2  // seconds that the clock of the node that made it may be ahead
	noScaleBits  = 15 // "window scaling not offered" in four bits
)

// mssTable holds the MSS values that a cookie can carry, ascending. The
// client's offer is rounded down to one of them whether or not state is kept,
// so that both ways to the server look alike. 1432 and 1412 are full segments
// of IPv4 and IPv6 behind 28 bytes of encapsulation on a 1 500 byte fabric.
var mssTable = [8]uint16{536, 1000, 1220, 1360, 1412, 1432, 1460, 8900}

// options are what the SYN/ACK agreed on.
type options struct {
	mss    uint16 // of the client, one of mssTable
	wscale uint8  // of the client, or wire.NoWScale
	sack   bool
	ts     bool
}

// roundMSS is the index of the largest table entry not above mss; offers below
// the first entry get the first (RFC 9293, 3.7.1: 536 is the default MSS).
func roundMSS(mss uint16) uint32 {
	i := uint32(len(mssTable) - 1)
	for i > 0 && mssTable[i] > mss {
		i--
	}
	return i
}

func (o options) scaleBits() uint32 {
	if o.wscale > 14 {
		return noScaleBits
	}
	return uint32(o.wscale)
}

func scaleFromBits(b uint32) uint8 {
	if b == noScaleBits {
		return wire.NoWScale
	}
	return uint8(b)
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// cookieTag is the keyed part, over everything the cookie promises.
func cookieTag(key wire.Key, k *flow.Key, clientISN, mss, scale, sack, ts uint32, period uint64) uint32 {
	var b [flow.KeySize + 16]byte
	k.Put(b[:])
	binary.BigEndian.PutUint32(b[40:], clientISN)
	b[44], b[45], b[46], b[47] = byte(mss), byte(scale), byte(sack), byte(ts)
	binary.BigEndian.PutUint64(b[48:], period)
	return uint32(siphash.Hash(key.K0, key.K1, b[:]))
}

// makeISN computes the server-side ISN. seconds is the wall clock.
func makeISN(key wire.Key, k *flow.Key, clientISN uint32, o options, seconds int64) uint32 {
	period := uint64(seconds) / cookiePeriod
	return isnOfPeriod(key, k, clientISN, roundMSS(o.mss), o.scaleBits(), bit(o.sack), bit(o.ts), period)
}

func isnOfPeriod(key wire.Key, k *flow.Key, clientISN, mss, scale, sack, ts uint32, period uint64) uint32 {
	isn := mss<<29 | uint32(period&3)<<27
	tag := cookieTag(key, k, clientISN, mss, scale, sack, ts, period)
	if ts != 0 {
		return isn | tag&(1<<27-1)
	}
	return isn | scale<<23 | sack<<22 | tag&(1<<22-1)
}

// makeTSval is the timestamp of a SYN/ACK: milliseconds with the options in
// the low six bits. It never runs ahead of the millisecond clock, so the
// translated clock of the server, which starts from its echo, does not either.
func makeTSval(o options, milliseconds int64) uint32 {
	return (uint32(milliseconds)&^63 - 64) | o.scaleBits()<<2 | bit(o.sack)<<1
}

// checkCookie verifies that serverISN answers clientISN and returns what was
// agreed, under any of the keys in use. tsecr is the client's echo of our timestamp if hasTS.
func checkCookie(keys []wire.Key, k *flow.Key, clientISN, serverISN uint32, hasTS bool, tsecr uint32, seconds int64) (options, bool) {
	mss := serverISN >> 29
	var scale, sack uint32
	if hasTS {
		scale, sack = tsecr>>2&15, tsecr>>1&1
	} else {
		scale, sack = serverISN>>23&15, serverISN>>22&1
	}
	newest := uint64(seconds+cookieSkew) / cookiePeriod
	for _, period := range [2]uint64{newest, newest - 1} {
		if uint32(period&3) != serverISN>>27&3 {
			continue
		}
		for _, key := range keys {
			if isnOfPeriod(key, k, clientISN, mss, scale, sack, bit(hasTS), period) == serverISN {
				return options{mss: mssTable[mss], wscale: scaleFromBits(scale), sack: sack != 0, ts: hasTS}, true
			}
		}
	}
	return options{}, false
}
