package main

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/term"

	"weir/services/console/terminal"
)

const (
	keyCtrlC = 3
	keyCtrlD = 4
	keyCtrlK = 11
	keyCtrlL = 12
	keyCtrlU = 21
)

// errIdle ends the reading of a line when nobody types.
var errIdle = errors.New("nobody types")

// keyboard gives the bytes that are typed to whoever reads now, one at a time:
// what one reader does not take is there for the next.
type keyboard struct {
	ctx     context.Context
	s       *session
	pending []byte // read before, and put back
}

func newKeyboard(ctx context.Context, s *session) *keyboard { return &keyboard{ctx: ctx, s: s} }

// next is the next key. After wait without one it is errIdle; 0 waits forever.
func (k *keyboard) next(wait time.Duration) (byte, error) {
	if len(k.pending) > 0 {
		c := k.pending[0]
		k.pending = k.pending[1:]
		return c, nil
	}
	var late <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		late = t.C
	}
	select {
	case c, ok := <-k.s.Keys():
		if !ok {
			return 0, io.EOF
		}
		k.s.login.touch(k.s.idle)
		return c, nil
	case <-late:
		return 0, errIdle
	case <-k.ctx.Done():
		return 0, io.EOF
	}
}

// putBack has next give a key once more.
func (k *keyboard) putBack(c byte) { k.pending = append(k.pending, c) }

// Read is for the line editor: plain keys only. Ctrl-C empties the line, as the
// editor would end with it; Ctrl-D, which would too, is nothing.
func (k *keyboard) Read(b []byte) (int, error) {
	for {
		c, err := k.next(k.s.idle)
		switch {
		case err != nil:
			return 0, err
		case c == keyCtrlC && len(b) >= 2:
			b[0], b[1] = keyCtrlU, keyCtrlK
			return 2, nil
		case c == keyCtrlC, c == keyCtrlD, c == 0, c > '~' && c != 127:
		default:
			b[0] = c
			return 1, nil
		}
	}
}

// Write is for the line editor, too.
func (k *keyboard) Write(b []byte) (int, error) { return k.s.Write(b) }

// lineReader reads lines: with an editor and a history from a terminal, as they
// come from a pipe.
type lineReader struct {
	s  *session
	vt *term.Terminal // nil: a pipe
}

func newLineReader(s *session) *lineReader {
	r := &lineReader{s: s}
	if s.Interactive() {
		r.vt = term.NewTerminal(s.keys, "")
		r.vt.AutoCompleteCallback = complete
		_ = r.vt.SetSize(terminal.Columns, terminal.Rows) // cannot fail: only the lines in sight are redrawn
	}
	return r
}

func (r *lineReader) read(prompt string) (string, error) {
	if r.vt == nil {
		return r.plain()
	}
	r.vt.SetPrompt(prompt)
	line, err := r.vt.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// password reads a line that is not shown.
func (r *lineReader) password(prompt string) (string, error) {
	if r.vt == nil {
		return r.plain()
	}
	line, err := r.vt.ReadPassword(prompt)
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// longestLine bounds what a pipe may send without a line end.
const longestLine = 4096

// plain reads a line from a pipe; its last one may lack the line end.
func (r *lineReader) plain() (string, error) {
	var line []byte
	for {
		c, err := r.s.keys.next(0)
		switch {
		case errors.Is(err, io.EOF) && len(line) > 0:
			return string(line), nil
		case err != nil:
			return "", err
		case c == '\n':
			return string(line), nil
		case c != '\r' && len(line) < longestLine:
			line = append(line, c)
		}
	}
}
