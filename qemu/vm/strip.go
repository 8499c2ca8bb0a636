package vm

import "strings"

// stripper leaves carriage returns, NULs and escape sequences (ECMA-48: CSI,
// charset selection and the two-byte ones) out of a stream that comes in pieces.
type stripper struct{ state stripState }

type stripState int

const (
	plain    stripState = iota
	escape              // after ESC
	sequence            // after ESC [: until a final byte
	charset             // after ESC ( or ESC ): one more byte
)

func (s *stripper) strip(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		switch s.state {
		case escape:
			switch c {
			case '[':
				s.state = sequence
			case '(', ')', '#':
				s.state = charset
			default:
				s.state = plain
			}
		case sequence:
			if c >= 0x40 && c <= 0x7e {
				s.state = plain
			}
		case charset:
			s.state = plain
		default:
			switch c {
			case 0x1b:
				s.state = escape
			case '\r', 0:
			default:
				out.WriteByte(c)
			}
		}
	}
	return out.String()
}
