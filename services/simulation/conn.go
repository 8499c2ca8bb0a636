package simulation

import (
	"bytes"
	"errors"
	"fmt"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// conn is one end of a flow: a socket, how far it has read and written, and
// what its application does next.
type conn struct {
	host    *Host
	flow    *Flow
	ep      tcpip.Endpoint
	noticed bool
	closed  bool
	step    func() // the application; called whenever something may have changed

	written int // bytes given to the stack
	read    int // bytes taken from it
	eof     bool
	ended   bool // our direction is shut down
	server  int  // server end: number of the server; clientEnd otherwise
	resumed bool // client end: the pause is over
	pausing bool
}

const chunk = 16 << 10 // bytes per call of the stack

const clientEnd = -1

func newConn(h *Host, f *Flow, ep tcpip.Endpoint, q *waiter.Queue) *conn {
	c := &conn{host: h, flow: f, ep: ep, server: clientEnd}
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents|waiter.WritableEvents|waiter.EventHUp|waiter.EventErr, func(waiter.EventMask) { c.notice() })
	q.EventRegister(&entry)
	return c
}

// notice asks for a turn; the stack calls it, so it does nothing else.
func (c *conn) notice() {
	if !c.noticed {
		c.noticed = true
		c.host.dirty = append(c.host.dirty, c)
	}
}

func (c *conn) pump() {
	if !c.closed {
		c.step()
	}
}

func (c *conn) close() {
	if !c.closed {
		c.closed = true
		c.ep.Close()
	}
}

// fail gives the connection up. A failure of a server's end is no loss by
// itself: a server whose offer was superseded sees one too. What counts is
// what the client gets.
func (c *conn) fail(what string, err tcpip.Error) {
	c.close()
	if c.server == clientEnd {
		c.flow.fail(fmt.Errorf("%s: %v", what, err))
	}
}

// write gives the stack what the source still holds up to position limit,
// and reports whether it is all written.
func (c *conn) write(limit int, source func(b []byte, i int)) bool {
	for c.written < limit {
		b := make([]byte, min(chunk, limit-c.written))
		source(b, c.written)
		n, err := c.ep.Write(bytes.NewReader(b), tcpip.WriteOptions{})
		c.written += int(n)
		if blocked(err) {
			return false
		}
		if err != nil {
			c.fail(fmt.Sprintf("%s: write at %d", c.host.Name, c.written), err)
			return false
		}
	}
	return true
}

// receive takes what has arrived and shows it to check with its position.
// False when the connection has failed.
func (c *conn) receive(check func(b []byte, i int)) bool {
	for !c.eof {
		var b bytes.Buffer
		_, err := c.ep.Read(&limitedWriter{&b, chunk}, tcpip.ReadOptions{})
		if b.Len() > 0 {
			check(b.Bytes(), c.read)
			c.read += b.Len()
		}
		switch err.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			return true
		case *tcpip.ErrClosedForReceive:
			c.eof = true
		default:
			c.fail(fmt.Sprintf("%s: read at %d", c.host.Name, c.read), err)
			return false
		}
	}
	return true
}

// end shuts our direction down, once.
func (c *conn) end() {
	if !c.ended {
		c.ended = true
		if err := c.ep.Shutdown(tcpip.ShutdownWrite); err != nil {
			c.fail(c.host.Name+": shut down", err)
		}
	}
}

func blocked(err tcpip.Error) bool {
	_, is := err.(*tcpip.ErrWouldBlock)
	return is
}

var errFull = errors.New("full")

// limitedWriter bounds how much one call of Read copies.
type limitedWriter struct {
	b    *bytes.Buffer
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.b.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}
