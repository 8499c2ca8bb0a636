package soak

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"weir/qemu/netns"
)

// Listen starts the soak's server in a namespace, for both address families.
func (s *Soak) Listen(namespace string, port uint16) error {
	var l net.Listener
	err := netns.Do(namespace, func() (err error) {
		l, err = (&net.ListenConfig{KeepAlive: silent}).Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		return fmt.Errorf("serve in %s: %w", namespace, err)
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(namespace, conn) })
		}
	})
	return nil
}

// take notes that a server has a connection and does not know yet whose, or is
// rid of it.
func (s *Soak) take(conn net.Conn, has bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if has {
		s.taken[conn] = true
	} else {
		delete(s.taken, conn)
	}
}

func (s *Soak) serve(namespace string, conn net.Conn) {
	s.take(conn, true)
	defer s.take(conn, false)
	var b [helloSize]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil || string(b[:len(magic)]) != magic {
		conn.Close()
		return
	}
	id := binary.BigEndian.Uint64(b[len(magic):])
	if id == 0 {
		serveFresh(conn)
		return
	}
	c := s.find(id)
	if c == nil {
		conn.Close()
		return
	}
	c.mu.Lock()
	twice := c.server != ""
	c.server = namespace
	c.ends = append(c.ends, conn)
	c.mu.Unlock()
	if twice {
		s.lose(c, causeWrong, errors.New("two servers have it"))
		conn.Close()
		return
	}
	close(c.served)
	s.run(c, conn, c.kind.down, c.kind.up, downOf(id), upOf(id), &c.down, &c.up)
}
