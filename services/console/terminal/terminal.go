// Package terminal is the console's end of a serial line, a virtual console or a
// pseudo terminal: plain VT100, 80 columns of 24 lines, ASCII only (S-103).
package terminal

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Size of every page, in characters. The last column stays empty: what a
// terminal does after a character in it differs from one to the next.
const (
	Columns = 80
	Rows    = 24
)

// Terminal is an open line. One goroutine uses it.
type Terminal struct {
	in, out     *os.File
	interactive bool
	before      *unix.Termios // to be restored; nil: it is no terminal
	keys        chan byte
}

// Open opens a terminal that nobody else reads from, such as /dev/ttyS0. It does
// not become the controlling terminal: interrupt keys are ours to handle.
func Open(path string) (*Terminal, error) {
	// Without O_NONBLOCK the opening of a serial port may wait for a modem.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the terminal: %w", err)
	}
	t, err := New(f, f)
	if err == nil && !t.interactive {
		err = errors.Join(fmt.Errorf("%s is no terminal", path), t.Close())
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// New uses files that are open: terminals, or pipes, on which the console reads
// commands and neither pages nor paints.
func New(in, out *os.File) (*Terminal, error) {
	t := &Terminal{in: in, out: out, keys: make(chan byte, 4096)}
	if mode, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil {
		t.interactive, t.before = true, mode
		if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, raw(*mode)); err != nil {
			return nil, fmt.Errorf("set the terminal up: %w", err)
		}
	}
	go t.read()
	return t, nil
}

// raw gives every byte to the reader as it comes, and lets the kernel write CR
// LF for LF.
func raw(m unix.Termios) *unix.Termios {
	m.Iflag &^= unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON | unix.IXOFF
	m.Iflag |= unix.IGNBRK | unix.IGNPAR
	m.Oflag |= unix.OPOST | unix.ONLCR
	m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	m.Cflag |= unix.CREAD | unix.CLOCAL // there may be no modem lines
	m.Cflag &^= unix.HUPCL
	m.Cc[unix.VMIN], m.Cc[unix.VTIME] = 1, 0
	return &m
}

// read feeds the keys until the line is gone.
func (t *Terminal) read() {
	defer close(t.keys)
	var b [256]byte
	for {
		n, err := t.in.Read(b[:])
		for _, c := range b[:n] {
			t.keys <- c
		}
		if err != nil {
			return
		}
	}
}

// Interactive reports whether somebody types.
func (t *Terminal) Interactive() bool { return t.interactive }

// Keys are the bytes that come in, as they come; closed when the line is gone.
func (t *Terminal) Keys() <-chan byte { return t.keys }

// Write writes to the line.
func (t *Terminal) Write(b []byte) (int, error) { return t.out.Write(b) }

// Close restores the terminal's modes and closes it.
func (t *Terminal) Close() error {
	var err error
	if t.before != nil {
		err = unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, t.before)
	}
	if t.out != t.in {
		err = errors.Join(err, t.out.Close())
	}
	return errors.Join(err, t.in.Close())
}

var _ io.Writer = (*Terminal)(nil)
