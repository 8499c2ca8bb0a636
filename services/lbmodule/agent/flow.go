package agent

import "errors"

// ErrFull says that the flow map is at its bound (S-86).
var ErrFull = errors.New("flow map is full")

// State of a flow in the data path.
type State uint32

const (
	// Pending: the kernel answered the fabricated SYN, the trackers have not
	// committed yet. Outbound packets go to the agent, never to the client.
	Pending State = 1
	// Established: translated and encapsulated by eBPF.
	Established State = 2
)

// Flags of a flow, set by the data path.
const (
	FlagClientFIN = 1 << 0
	FlagServerFIN = 1 << 1
	FlagReset     = 1 << 2 // either side sent RST
	FlagSpoken    = 1 << 3 // the kernel's connection exists: it sent more than its SYN/ACK
	FlagHeard     = 1 << 4 // packets of the client came through a mapping
)

// Flow is the value of the flow map, in exactly the layout of struct
// weir_flow in the eBPF source (a test compares them), 64 bytes.
type Flow struct {
	LastSeen    int64  // monotonic ns, written by the data path
	ClientISN   uint32 // with ServerISN the incarnation (S-2)
	ServerISN   uint32 // chosen by the trackers
	SeqDelta    uint32 // ServerISN − the kernel's ISN
	TSDelta     uint32 // trackers' timestamp − the kernel's
	KernelTSval uint32 // of the kernel's SYN/ACK
	ClientTSval uint32 // of the fabricated SYN
	Egress      [4]byte
	Slot        uint16 // where to look when Egress is gone
	SourcePort  uint16 // of the outer UDP header, from the flow hash
	Primary     uint16
	Secondary   uint16
	Ingress     uint16 // number of the node that sent the last packet
	Window      uint16 // of the client's ACK, as the client scaled it
	WindowShift int8   // kernel's window scale − the promised one
	Offer       uint8
	Options     uint8 // wire.Opt bits
	_           uint8
	State       State
	Flags       uint32
	_           uint32
}

// Closing reports whether the flow is past its last useful data.
func (f *Flow) Closing() bool {
	return f.Flags&FlagReset != 0 || f.Flags&(FlagClientFIN|FlagServerFIN) == FlagClientFIN|FlagServerFIN
}

// KernelISN is the initial sequence number that the server's kernel chose.
func (f *Flow) KernelISN() uint32 { return f.ServerISN - f.SeqDelta }
