package packet

// Status is what parsing a frame came to. All but OK are reasons to drop it, or
// to hand it to someone who knows more; their names are the names of counters.
type Status uint8

const (
	OK          Status = iota
	Truncated          // the frame ends before a header, or before the length that IP states
	BadLength          // lengths inside contradict each other
	BadHeader          // version, header length or data offset that no sender may write
	BadChecksum        // the IPv4 header's, or a tunnel's UDP checksum that is present
	Fragment           // of an IPv4 or IPv6 datagram; the network header was read
	Unsupported        // VLAN tag, other EtherType, IPv6 extension header, other protocol
	NotTunnel          // not UDP to the data port, or not GUE variant 1 in it
	NoRoom             // the buffer's head or tail room does not suffice
	NumStatus
)

var statusNames = [NumStatus]string{
	"ok", "truncated", "bad_length", "bad_header", "bad_checksum", "fragment", "unsupported", "not_tunnel", "no_room",
}

func (s Status) String() string {
	if s < NumStatus {
		return statusNames[s]
	}
	return "unknown"
}
