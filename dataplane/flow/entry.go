package flow

// EntrySize is the size of an Entry in bytes: one cache line.
const EntrySize = 64

// Flags that the table itself understands. The upper bits are the caller's.
const (
	FlagHalfOpen  = 1 << 0 // no ACK proved this flow yet: the first to go when the table is full (S-86)
	FlagCallerLow = 1 << 1 // lowest flag bit that callers may define
)

// Entry is one flow of a Table: its key and 24 bytes of value, on one cache
// line. Ingress mappings and tracker mappings both use it. It holds no
// pointers, so the garbage collector never looks at it.
type Entry struct {
	Key
	ClientISN uint32 // with ServerISN: the incarnation (S-2)
	ServerISN uint32
	Renewed   uint32 // tick of the last lease renewal or use; the caller chooses the tick, it may wrap
	Stamp     uint32 // the caller's own
	Server    uint16 // number in the configuration
	Ingress   uint16 // number of the node
	Flags     uint8
	Offer     uint8
	TTL       uint8
	used      uint8 // 1: holds a flow, 0: on the free list or never used
}

// Cause says why Insert evicted an entry.
type Cause uint8

const (
	EvictedNone     Cause = iota // nothing was evicted
	EvictedExpired               // it was last renewed before the cut-off
	EvictedHalfOpen              // it was live, but half-open
	EvictedLive                  // it was live and established: the table is too small
)

// Evicted is what Insert removed to make room: a copy of the entry, which had
// the index that the new entry has now. Entry is meaningless if Cause is EvictedNone.
type Evicted struct {
	Cause Cause
	Entry Entry
}

// before reports whether tick a is before tick b; ticks may wrap.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// rank orders entries by who goes first: the lower, the sooner. Expired
// entries, then half-open, then established; within each the oldest renewal.
// The age is measured against the cut-off, so that wrapping ticks order right.
func (e *Entry) rank(cutoff uint32) (uint64, Cause) {
	age := uint64(uint32(int32(e.Renewed-cutoff)) ^ 1<<31) // rises with Renewed
	switch {
	case before(e.Renewed, cutoff):
		return age, EvictedExpired
	case e.Flags&FlagHalfOpen != 0:
		return 1<<32 | age, EvictedHalfOpen
	default:
		return 2<<32 | age, EvictedLive
	}
}
