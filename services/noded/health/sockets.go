// Package health is the rim of membership: it owns the sockets of pings, gossip
// and node lists and the checks of servers, and drives the pure core of package
// membership with what they bring. One thread does all of it, so that nothing is
// judged before everything that has arrived was read (S-59).
package health

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"weir/dataplane/wire"
)

// receiveBuffer is what the kernel may keep for a socket while the thread is
// kept from running, in bytes: some hundred datagrams of every node.
const receiveBuffer = 1 << 20

// maxDatagram is the size of the longest datagram that is read, in bytes.
const maxDatagram = 65536

// sockets are those of one node. All are non-blocking.
type sockets struct {
	north  int // UDP 6084 on the north address: pongs that came back through the router
	south  int // UDP 6084 on the south address: pings out, pongs, acknowledgements of node lists
	gossip int // UDP 6085 on the south address
	echo   int // ICMP on the north address: answers of routers
	raw    *rawSender
}

// open opens the sockets of a node with these addresses; exception is the
// interface with its north addresses.
func open(north, south netip.Addr, exception string) (*sockets, error) {
	s := &sockets{north: -1, south: -1, gossip: -1, echo: -1}
	var err error
	for _, u := range []struct {
		fd   *int
		addr netip.Addr
		port uint16
		what string
	}{
		{&s.north, north, wire.PortPing, "health pings, north"},
		{&s.south, south, wire.PortPing, "health pings, south"},
		{&s.gossip, south, wire.PortGossip, "gossip"},
	} {
		if *u.fd, err = listenUDP(netip.AddrPortFrom(u.addr, u.port)); err != nil {
			s.close()
			return nil, fmt.Errorf("open socket for %s: %w", u.what, err)
		}
	}
	if s.echo, err = openEcho(north); err != nil {
		s.close()
		return nil, err
	}
	if s.raw, err = newRawSender(exception, north); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sockets) close() {
	for _, fd := range []int{s.north, s.south, s.gossip, s.echo} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if s.raw != nil {
		s.raw.close()
	}
}

func listenUDP(a netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	// Best effort: without the right to exceed the system's limit, the limit holds.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := unix.Bind(fd, sockaddr(a)); err != nil {
		unix.Close(fd)
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			return -1, fmt.Errorf("UDP %s is in use; stop the program that has it", a)
		case errors.Is(err, unix.EADDRNOTAVAIL):
			return -1, fmt.Errorf("%s is not an address of this machine; add it to its exception interface", a.Addr())
		}
		return -1, fmt.Errorf("bind UDP %s: %w", a, err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// send sends a datagram. A full queue or an unreachable peer is a loss like any
// other on the way, so there is no error to act on.
func send(fd int, d []byte, to netip.AddrPort) {
	_ = unix.Sendto(fd, d, unix.MSG_DONTWAIT, sockaddr(to))
}

// atOnce bounds how many datagrams are read before time is looked at again: a
// flood must not keep this node from checking the others.
const atOnce = 4096

// drain reads everything that has arrived on a socket. buf has maxDatagram bytes;
// what take gets is valid until it returns.
func drain(fd int, buf []byte, take func(d []byte, from netip.AddrPort)) {
	for range atOnce {
		n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNREFUSED):
			continue // ECONNREFUSED: an ICMP error about something that was sent
		case err != nil:
			return
		}
		if a, ok := from.(*unix.SockaddrInet4); ok {
			take(buf[:n], netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
		}
	}
}
