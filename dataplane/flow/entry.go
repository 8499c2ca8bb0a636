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
