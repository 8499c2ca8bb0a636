package packet

import "encoding/binary"

// NoWScale in TCPOptions.WScale says that the option is absent.
const NoWScale = 255

// maxWScale is the largest shift; larger ones count as this (RFC 7323, 2.3).
const maxWScale = 14

// TCPOptions are the options that matter to the handshake. MSS 0 means absent.
type TCPOptions struct {
	TSval         uint32
	TSecr         uint32
	MSS           uint16 // RFC 9293, 3.7.1, bytes
	WScale        uint8  // RFC 7323, 2; 0 to 14, or NoWScale
	SACKPermitted bool   // RFC 2018, 2
	Timestamps    bool   // RFC 7323, 3: TSval and TSecr carry meaning
	TFO           bool   // RFC 7413, or its experimental form
	MPTCP         bool   // RFC 8684
	MD5           bool   // RFC 2385
	AO            bool   // RFC 5925
}

// Option kinds (IANA's registry "TCP Option Kind Numbers").
const (
	optEnd           = 0
	optNOP           = 1
	optMSS           = 2
	optWScale        = 3
	optSACKPermitted = 4
	optTimestamps    = 8
	optMD5           = 19
	optAO            = 29
	optMPTCP         = 30
	optTFO           = 34
	optExperimental  = 254    // RFC 6994
	tfoExperiment    = 0xf989 // RFC 7413, appendix A
)

// ParseTCPOptions reads an option list (RFC 9293, 3.1). A list that is broken
// off, or has an option shorter than its own two bytes, gives false and what
// stood before. A known option of a wrong size is ignored; of doubled ones the
// last counts: both as Linux does, so that we promise what the server will see.
func ParseTCPOptions(opts []byte, o *TCPOptions) bool {
	*o = TCPOptions{WScale: NoWScale}
	for len(opts) > 0 {
		switch opts[0] {
		case optEnd:
			return true
		case optNOP:
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 {
			return false
		}
		n := int(opts[1])
		if n < 2 || n > len(opts) {
			return false
		}
		o.read(opts[0], opts[2:n])
		opts = opts[n:]
	}
	return true
}

// read takes up one option; v is what follows kind and length.
func (o *TCPOptions) read(kind uint8, v []byte) {
	switch kind {
	case optMSS:
		if len(v) == 2 {
			o.MSS = binary.BigEndian.Uint16(v)
		}
	case optWScale:
		if len(v) == 1 {
			o.WScale = min(v[0], maxWScale)
		}
	case optSACKPermitted:
		if len(v) == 0 {
			o.SACKPermitted = true
		}
	case optTimestamps:
		if len(v) == 8 {
			o.Timestamps = true
			o.TSval = binary.BigEndian.Uint32(v)
			o.TSecr = binary.BigEndian.Uint32(v[4:])
		}
	case optMD5:
		o.MD5 = true
	case optAO:
		o.AO = true
	case optMPTCP:
		o.MPTCP = true
	case optTFO:
		o.TFO = true
	case optExperimental:
		if len(v) >= 2 && binary.BigEndian.Uint16(v) == tfoExperiment {
			o.TFO = true
		}
	}
}

// Size is the number of bytes that Put writes: at most 20, a multiple of 4.
func (o *TCPOptions) Size() int {
	n := 0
	if o.MSS != 0 {
		n += 4
	}
	if o.Timestamps {
		n += 12 // SACK permitted takes the place of its padding
	} else if o.SACKPermitted {
		n += 4
	}
	if o.WScale != NoWScale {
		n += 4
	}
	return n
}

// Put writes MSS, SACK permitted, timestamps and window scale in the order and
// with the padding of Linux, and returns Size. The others are never sent.
//
//	[2 4 MSS(2)] [4 2 | 1 1] [8 10 TSval(4) TSecr(4)] [1 3 3 shift(1)]
func (o *TCPOptions) Put(b []byte) int {
	n := 0
	if o.MSS != 0 {
		binary.BigEndian.PutUint32(b, optMSS<<24|4<<16|uint32(o.MSS))
		n = 4
	}
	lead := uint16(optNOP<<8 | optNOP)
	if o.SACKPermitted {
		lead = optSACKPermitted<<8 | 2
	}
	if o.Timestamps {
		binary.BigEndian.PutUint16(b[n:], lead)
		binary.BigEndian.PutUint16(b[n+2:], optTimestamps<<8|10)
		binary.BigEndian.PutUint32(b[n+4:], o.TSval)
		binary.BigEndian.PutUint32(b[n+8:], o.TSecr)
		n += 12
	} else if o.SACKPermitted {
		binary.BigEndian.PutUint32(b[n:], optNOP<<24|optNOP<<16|uint32(lead))
		n += 4
	}
	if o.WScale != NoWScale {
		binary.BigEndian.PutUint32(b[n:], optNOP<<24|optWScale<<16|3<<8|uint32(o.WScale))
		n += 4
	}
	return n
}
