package crash

import (
	"fmt"
	"strings"

	"weir/init/logs"
)

// AddService keeps the record of a service: how it ended and its last words.
// Those are the end of its log; or, if it wrote what Go programs write when they
// die, what begins a little before that.
func (s *Store) AddService(name, how string, last []logs.Line) {
	const before = 20 // lines
	head := name + ": " + how
	size := len(head)
	var text []string
	if at := deathCry(last); at >= 0 {
		for _, l := range last[max(0, at-before):] {
			line := format(l)
			if size += len(line) + 1; size > TextBytes {
				break
			}
			text = append(text, line)
		}
	} else {
		for i := len(last) - 1; i >= 0; i-- {
			line := format(last[i])
			if size += len(line) + 1; size > TextBytes {
				break
			}
			text = append([]string{line}, text...)
		}
	}
	s.Add(name, strings.Join(append([]string{head}, text...), "\n"))
}

func format(l logs.Line) string { return fmt.Sprintf("[%12.6f] %s", l.At.Seconds(), l.Text) }

// deathCry is the first line of Go's last one, or -1. Its stacks can be longer
// than a record, and the first lines matter most.
func deathCry(lines []logs.Line) int {
	for i, l := range lines {
		for _, start := range []string{"panic: ", "fatal error: ", "SIGABRT: ", "SIGSEGV: ", "SIGQUIT: "} {
			if strings.HasPrefix(l.Text, start) {
				return i
			}
		}
	}
	return -1
}
