package trial

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// Size of an encoded record in bytes: one sector, which a disk writes whole or
// not at all.
//
//	 0  "WEIRBOOT"           24  nonce, 8 bytes
//	 8  version of the form  32  time of the change, seconds since 1970, 8 bytes
//	 9  state                40  slot a: status, version (31 bytes), SHA-256
//	10  committed slot      104  slot b
//	11  slot of the trial   168  reason, UTF-8, zeros behind it
//	12  boots, tries        508  CRC-32 of all before
//	14  watchdog, s, 2 bytes
//	16  sequence, 8 bytes    (numbers are little-endian)
const Size = 512

const (
	magic = "WEIRBOOT"
	form  = 1

	atSlots, slotSize = 40, 64
	atReason, atSum   = 168, 508

	maxSeconds = 1 << 40 // a year that can be printed
)

// ErrNone means that bytes are no record.
var ErrNone = errors.New("no record of upgrades")

// Encode gives the bytes. Texts that are too long are cut.
func (r Record) Encode() []byte {
	b := make([]byte, Size)
	le := binary.LittleEndian
	copy(b, magic)
	b[8], b[9], b[10], b[11], b[12], b[13] = form, byte(r.State), byte(r.Committed), byte(r.Trial), r.Boots, r.Tries
	le.PutUint16(b[14:], uint16(min(max(r.Watchdog/time.Second, 0), math.MaxUint16)))
	le.PutUint64(b[16:], r.Sequence)
	le.PutUint64(b[24:], r.Nonce)
	le.PutUint64(b[32:], uint64(max(r.Changed.Unix(), 0)))
	for i, s := range r.Slots {
		at := b[atSlots+i*slotSize:][:slotSize]
		at[0] = byte(s.Status)
		copy(at[1:1+MaxVersion], cut(s.Version, MaxVersion))
		copy(at[1+MaxVersion:], s.SHA256[:])
	}
	copy(b[atReason:atSum], cut(r.Reason, atSum-atReason))
	le.PutUint32(b[atSum:], crc32.ChecksumIEEE(b[:atSum]))
	return b
}

// Decode reads what Encode gave. The error is ErrNone for anything else.
func Decode(b []byte) (Record, error) {
	if len(b) < Size || string(b[:8]) != magic {
		return Record{}, ErrNone
	}
	le := binary.LittleEndian
	if crc32.ChecksumIEEE(b[:atSum]) != le.Uint32(b[atSum:]) {
		return Record{}, fmt.Errorf("its checksum is wrong: %w", ErrNone)
	}
	if b[8] != form || b[9] > byte(RolledBack) {
		return Record{}, fmt.Errorf("form %d, state %d: %w", b[8], b[9], ErrNone)
	}
	r := Record{
		State: State(b[9]), Committed: slot(b[10]), Trial: slot(b[11]), Boots: b[12], Tries: b[13],
		Watchdog: time.Duration(le.Uint16(b[14:])) * time.Second, Sequence: le.Uint64(b[16:]), Nonce: le.Uint64(b[24:]),
		Changed: time.Unix(int64(min(le.Uint64(b[32:]), maxSeconds)), 0).UTC(), Reason: text(b[atReason:atSum]),
	}
	for i := range r.Slots {
		at := b[atSlots+i*slotSize:][:slotSize]
		if at[0] > byte(Bad) {
			return Record{}, fmt.Errorf("status %d of a slot: %w", at[0], ErrNone)
		}
		r.Slots[i] = Image{Status: Status(at[0]), Version: text(at[1 : 1+MaxVersion]), SHA256: [32]byte(at[1+MaxVersion:])}
	}
	return r, nil
}

func slot(b byte) Slot {
	if s := Slot(b); s.valid() {
		return s
	}
	return None
}

// text is what stands before the first zero, with nothing that a terminal would obey.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
}

// cut shortens a text to at most n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
