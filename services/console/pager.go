package main

import (
	"fmt"
	"strings"

	"weir/services/console/terminal"
)

const askMore = "--more-- (space: page, Enter: line, q: stop)"

// page writes lines, and waits for a key after every page of them if somebody
// reads along. Lines that are wider than the terminal are broken.
func (s *session) page(lines []string) error {
	room := terminal.Rows - 1
	for _, l := range lines {
		l = strings.TrimRight(terminal.Clean(l), " ")
		parts := []string{l}
		if s.Interactive() {
			parts = terminal.Wrap(l, terminal.Columns-1)
		}
		for _, part := range parts {
			if s.Interactive() && room == 0 {
				var err error
				if room, err = s.askForMore(); err != nil || room == 0 {
					return err
				}
			}
			if _, err := fmt.Fprintln(s, part); err != nil {
				return err
			}
			room--
		}
	}
	return nil
}

// askForMore is how many more lines are wanted.
func (s *session) askForMore() (int, error) {
	fmt.Fprintf(s, "\x1b[7m%s\x1b[0m", askMore)
	defer fmt.Fprint(s, "\r\x1b[K")
	for {
		key, err := s.keys.next(s.idle)
		switch {
		case err != nil:
			return 0, err
		case key == ' ':
			return terminal.Rows - 1, nil
		case key == '\r', key == '\n':
			return 1, nil
		case key == 'q', key == 'Q', key == keyCtrlC:
			return 0, nil
		}
	}
}
