package logs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine is how many bytes of a line are kept.
const MaxLine = 4096

// Writer makes lines of a stream of bytes. It never fails and never blocks.
type Writer struct {
	to   *Source
	part []byte // of a line that has not ended
	cut  int    // bytes of it that were beyond MaxLine
}

// Writer is for one stream into the source; streams do not mix within lines.
func (s *Source) Writer() *Writer { return &Writer{to: s} }

func (w *Writer) Write(p []byte) (int, error) {
	for _, b := range p {
		switch {
		case b == '\n':
			w.flush()
		case len(w.part) == MaxLine:
			w.cut++
		default:
			w.part = append(w.part, b)
		}
	}
	return len(p), nil
}

// Close ends a last line that had no end.
func (w *Writer) Close() error {
	if len(w.part) > 0 {
		w.flush()
	}
	return nil
}

func (w *Writer) flush() {
	text := clean(strings.TrimSuffix(string(w.part), "\r"))
	if w.cut > 0 {
		text += fmt.Sprintf(" [%d bytes cut]", w.cut)
	}
	w.to.add(Line{At: w.to.now(), Text: text})
	w.part, w.cut = w.part[:0], 0
}

// clean writes what is not printable as \xNN: a log is shown on terminals, and
// must not be able to command them.
func clean(s string) string {
	ok := func(r rune) bool { return r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if ok(r) {
			b.WriteString(s[:n])
		} else {
			for i := range n {
				fmt.Fprintf(&b, `\x%02x`, s[i])
			}
		}
		s = s[n:]
	}
	return b.String()
}
