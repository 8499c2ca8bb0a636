package terminal

import "strings"

// Clean makes a text safe for the terminal: what is not printable ASCII, escape
// sequences of a log line for instance, becomes a question mark; tabs a space.
func Clean(s string) string {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' }
	for i := 0; i < len(s); i++ {
		if !plain(s[i]) {
			return strings.Map(func(r rune) rune {
				switch {
				case r == '\t':
					return ' '
				case r < ' ' || r > '~':
					return '?'
				}
				return r
			}, s)
		}
	}
	return s
}

// Wrap breaks a line into lines of at most width characters, at spaces where
// there are some.
func Wrap(s string, width int) []string {
	var out []string
	for len(s) > width {
		at := strings.LastIndexByte(s[:width+1], ' ')
		if at <= width/3 {
			at = width
		}
		out = append(out, strings.TrimRight(s[:at], " "))
		s = strings.TrimLeft(s[at:], " ")
	}
	return append(out, s)
}

// Cut shortens a line to width characters and shows that it did.
func Cut(s string, width int) string {
	if len(s) <= width {
		return s
	}
	if width < 3 {
		return s[:max(0, width)]
	}
	return s[:width-2] + ".."
}
