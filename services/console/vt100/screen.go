// Package vt100 is a model of the terminal that the console is written for: 80
// columns of 24 lines and the escape sequences that a VT100 has. Tests look at
// the screen through it. What a VT100 does not know is an error.
package vt100

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Size of the screen.
const (
	Columns = 80
	Rows    = 24
)

// Screen is what a terminal shows after the bytes written to it. It is safe for
// several goroutines.
type Screen struct {
	mu       sync.Mutex
	cells    [Rows][Columns]byte
	row, col int
	wrap     bool // the next character goes to the next line
	escape   []byte
	all      strings.Builder
	unknown  []string
}

// New is an empty screen.
func New() *Screen {
	s := &Screen{}
	s.erase(0, 0, Rows-1, Columns)
	return s
}

// Write shows bytes. It does not fail.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(b)
	for _, c := range b {
		s.put(c)
	}
	return len(b), nil
}

// Text is the screen, a line per row, without spaces at their ends.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, row := range s.cells {
		b.WriteString(strings.TrimRight(string(row[:]), " ") + "\n")
	}
	return b.String()
}

// All is everything that was ever written, as it came.
func (s *Screen) All() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// Unknown are the bytes and sequences that a VT100 does not know.
func (s *Screen) Unknown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unknown
}

func (s *Screen) put(c byte) {
	switch {
	case len(s.escape) > 0:
		s.escape = append(s.escape, c)
		s.sequence()
	case c == 27:
		s.escape = []byte{c}
	case c == '\r':
		s.col, s.wrap = 0, false
	case c == '\n':
		s.down()
	case c == '\b':
		s.col, s.wrap = max(0, s.col-1), false
	case c == 7:
	case c < ' ' || c > '~':
		s.unknown = append(s.unknown, fmt.Sprintf("byte %#x", c))
	default:
		if s.wrap {
			s.col, s.wrap = 0, false
			s.down()
		}
		s.cells[s.row][s.col] = c
		if s.wrap = s.col == Columns-1; !s.wrap {
			s.col++
		}
	}
}

// down goes to the next row, and scrolls in the last one.
func (s *Screen) down() {
	if s.row < Rows-1 {
		s.row++
		return
	}
	copy(s.cells[:], s.cells[1:])
	s.erase(Rows-1, 0, Rows-1, Columns)
}

func (s *Screen) erase(row, col, lastRow, end int) {
	for ; row <= lastRow; row, col = row+1, 0 {
		stop := Columns
		if row == lastRow {
			stop = end
		}
		for i := col; i < stop; i++ {
			s.cells[row][i] = ' '
		}
	}
}

// sequence acts on a control sequence once it is complete: ESC [ n ; n final.
func (s *Screen) sequence() {
	e := s.escape
	if len(e) == 2 && e[1] == '[' {
		return
	}
	final := e[len(e)-1]
	if len(e) > 2 && (final >= '0' && final <= '9' || final == ';') && len(e) < 20 {
		return
	}
	s.escape = nil
	if len(e) < 3 || e[1] != '[' {
		s.unknown = append(s.unknown, fmt.Sprintf("%q", e))
		return
	}
	var n []int
	for _, f := range strings.Split(string(e[2:len(e)-1]), ";") {
		v, _ := strconv.Atoi(f)
		n = append(n, v)
	}
	s.control(final, n, e)
}

func (s *Screen) control(final byte, n []int, e []byte) {
	count := max(1, n[0])
	s.wrap = s.wrap && final == 'm'
	switch final {
	case 'A':
		s.row = max(0, s.row-count)
	case 'B':
		s.row = min(Rows-1, s.row+count)
	case 'C':
		s.col = min(Columns-1, s.col+count)
	case 'D':
		s.col = max(0, s.col-count)
	case 'H':
		column := 1
		if len(n) > 1 {
			column = max(1, n[1])
		}
		if count > Rows || column > Columns {
			s.unknown = append(s.unknown, fmt.Sprintf("%q is outside", e))
		}
		s.row, s.col = min(count, Rows)-1, min(column, Columns)-1
	case 'J':
		switch n[0] {
		case 0:
			s.erase(s.row, s.col, Rows-1, Columns)
		case 1:
			s.erase(0, 0, s.row, s.col+1)
		default:
			s.erase(0, 0, Rows-1, Columns)
		}
	case 'K':
		switch n[0] {
		case 0:
			s.erase(s.row, s.col, s.row, Columns)
		case 1:
			s.erase(s.row, 0, s.row, s.col+1)
		default:
			s.erase(s.row, 0, s.row, Columns)
		}
	case 'm':
		for _, v := range n {
			if v != 0 && v != 1 && v != 7 { // what the console allows itself
				s.unknown = append(s.unknown, fmt.Sprintf("%q", e))
			}
		}
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("%q", e))
	}
}
