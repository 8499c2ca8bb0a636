package guard

import (
	"net"
	"net/netip"
)

// Listener closes connections for which there is no slot.
type Listener struct {
	net.Listener
	Slots   *Slots
	Refused func() // is told of each; may be nil
}

// Accept gives the next connection that has a slot.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		free, ok := l.Slots.Take(Client(c.RemoteAddr()))
		if ok {
			return &conn{c, free}, nil
		}
		c.Close()
		if l.Refused != nil {
			l.Refused()
		}
	}
}

type conn struct {
	net.Conn
	free func()
}

func (c *conn) Close() error {
	c.free()
	return c.Conn.Close()
}

// Client is the IP address of an address; invalid if it has none.
func Client(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
