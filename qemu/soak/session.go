package soak

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"weir/qemu/netns"
)

// session is one connection that is held open, both ends of it.
type session struct {
	number   int
	id       uint64
	kind     kind
	target   netip.AddrPort
	up, down meter

	mu     sync.Mutex
	server string // namespace that has it
	ends   []net.Conn
	lost   bool
	served chan struct{} // closed when a server has it
}

// A connection begins with a hello of the client: 8 bytes of magic, then the
// session's id. An id of 0 asks for one chunk.
const (
	magic     = "weirsoak"
	helloSize = 16
)

// silent is a keepalive interval of never: an idle connection sends nothing.
const silent = -1

func hello(id uint64) []byte { return binary.BigEndian.AppendUint64([]byte(magic), id) }

// open establishes the i-th connection of the plan.
func (s *Soak) open(ctx context.Context, i int) error {
	c := &session{number: i, kind: kinds[i%len(kinds)], target: s.plan.Targets[i/len(kinds)%len(s.plan.Targets)], served: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, s.plan.Patience)
	defer cancel()
	conn, err := netns.Dialer(s.plan.Client, net.Dialer{KeepAlive: silent})(ctx, "tcp", c.target.String())
	if err != nil {
		return fmt.Errorf("connection %d: %w", i, err)
	}
	c.adopt(conn)
	s.add(c)
	if _, err := conn.Write(hello(c.id)); err != nil {
		return fmt.Errorf("connection %d from %v: %w", i, conn.LocalAddr(), err)
	}
	s.run(c, conn, c.kind.up, c.kind.down, upOf(c.id), downOf(c.id), &c.up, &c.down)
	select {
	case <-c.served:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("connection %d from %v: no server got its first bytes: %w", i, conn.LocalAddr(), ctx.Err())
	}
}

// run starts one end: it speaks on one direction and listens on the other.
func (s *Soak) run(c *session, conn net.Conn, own, other source, out, in pattern, sent, received *meter) {
	whole := make(chan struct{}, 1)
	s.wg.Go(func() {
		if err := s.speak(conn, own, out, sent, whole); err != nil {
			s.loseTo(c, err)
		}
	})
	s.wg.Go(func() {
		if err := listen(conn, other, in, received, whole); err != nil {
			s.loseTo(c, err)
		}
	})
}

func (s *Soak) speak(conn net.Conn, own source, out pattern, m *meter, whole <-chan struct{}) error {
	buf := make([]byte, chunk)
	var at uint64
	say := func() error {
		out.fill(buf, at)
		at += chunk
		m.send(chunk, time.Now())
		_, err := conn.Write(buf)
		return err
	}
	var wait time.Duration
	switch own {
	case shut:
		return conn.(*net.TCPConn).CloseWrite()
	case steady:
		wait = rand.N(s.plan.Pace)
	case late:
		wait = s.silence()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		tick := timer.C
		if own == answer {
			tick = nil
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-whole:
			switch own {
			case answer:
				if err := say(); err != nil {
					return err
				}
			case late:
				timer.Reset(s.silence())
			}
		case <-tick:
			if err := say(); err != nil {
				return err
			}
			if own == steady {
				timer.Reset(s.plan.Pace)
			}
		}
	}
}

// silence is how long an idle end waits: the plan's time, and a little more so
// that not all of them wake up together.
func (s *Soak) silence() time.Duration { return s.plan.Idle + rand.N(s.plan.Idle/4+1) }

// errWrong says that a byte arrived that the other end did not send there.
var errWrong = errors.New("wrong bytes")

func listen(conn net.Conn, other source, in pattern, m *meter, whole chan<- struct{}) error {
	buf := make([]byte, 4*chunk)
	var at uint64
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if !in.check(buf[:n], at) || !m.receive(n, time.Now()) {
				return fmt.Errorf("%w at %d to %d", errWrong, at, at+uint64(n))
			}
			before := at / chunk
			at += uint64(n)
			if at/chunk > before {
				select {
				case whole <- struct{}{}:
				default:
				}
			}
		}
		if err == io.EOF && other == shut {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// adopt keeps an end to be closed with the session.
func (c *session) adopt(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, conn)
}

func (c *session) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.ends {
		conn.Close()
	}
}

func (c *session) isLost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

func (c *session) waiting(now time.Time) time.Duration {
	if c.isLost() {
		return 0
	}
	return max(c.up.waiting(now), c.down.waiting(now))
}
