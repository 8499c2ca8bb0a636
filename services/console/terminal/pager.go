package terminal

import (
	"fmt"
	"strings"
)

const (
	keyInterrupt = 3 // Ctrl-C
	keyEscape    = 27
)

const more = "--more-- (space: page, Enter: line, q: stop)"

// Page writes lines, and waits for a key after every page of them if somebody
// reads along. Lines that are wider than the terminal are broken.
func (t *Terminal) Page(lines []string) error {
	room := Rows - 1
	for _, l := range lines {
		l = strings.TrimRight(Clean(l), " ")
		parts := []string{l}
		if t.interactive {
			parts = Wrap(l, width)
		}
		for _, part := range parts {
			if t.interactive && room == 0 {
				if room = t.askForMore(); room == 0 {
					return nil
				}
			}
			if _, err := fmt.Fprintf(t, "%s\n", part); err != nil {
				return err
			}
			room--
		}
	}
	return nil
}

// askForMore is how many more lines are wanted.
func (t *Terminal) askForMore() int {
	fmt.Fprintf(t, "\x1b[7m%s\x1b[0m", more)
	defer fmt.Fprint(t, "\r\x1b[K")
	for key := range t.keys {
		switch key {
		case ' ':
			return Rows - 1
		case '\r', '\n':
			return 1
		case 'q', 'Q', keyInterrupt, keyEscape:
			return 0
		}
	}
	return 0
}
