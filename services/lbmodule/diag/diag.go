// Package diag asks the kernel about TCP sockets (sock_diag(7)): one four-tuple
// at a time, and the accept queues of listeners.
package diag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Layout of inet_diag_req_v2 and inet_diag_msg (linux/inet_diag.h), in bytes.
const (
	headerSize  = unix.NLMSG_HDRLEN
	requestSize = 56
	messageSize = 72
	byFamily    = 20 // SOCK_DIAG_BY_FAMILY
)

// TCP states as the kernel numbers them.
const (
	stateSynRecv  = 3
	stateTimeWait = 6
	stateClose    = 7
	stateListen   = 10
)

// Conn is a socket to the kernel's sock_diag. It is used by one goroutine.
type Conn struct {
	fd  int
	seq uint32
	buf []byte
}

// Open connects to the network namespace of the calling thread.
func Open() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open a sock_diag socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind a sock_diag socket: %w", err)
	}
	return &Conn{fd: fd, buf: make([]byte, 64<<10)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// request describes the sockets that are asked for.
type request struct {
	family       uint8
	dump         bool
	states       uint32 // bits
	sport, dport uint16
	src, dst     [16]byte // IPv4 in the first four bytes
}

// reply is the part of inet_diag_msg that matters.
type reply struct {
	state  uint8
	sport  uint16
	src    [16]byte
	rqueue uint32
	wqueue uint32
}

func (c *Conn) ask(r *request, each func(*reply)) error {
	var b [headerSize + requestSize]byte
	ne := binary.NativeEndian
	c.seq++
	ne.PutUint32(b[0:], uint32(len(b)))
	ne.PutUint16(b[4:], byFamily)
	flags := uint16(unix.NLM_F_REQUEST)
	if r.dump {
		flags |= unix.NLM_F_DUMP
	}
	ne.PutUint16(b[6:], flags)
	ne.PutUint32(b[8:], c.seq)
	q := b[headerSize:]
	q[0], q[1] = r.family, unix.IPPROTO_TCP
	ne.PutUint32(q[4:], r.states)
	binary.BigEndian.PutUint16(q[8:], r.sport)
	binary.BigEndian.PutUint16(q[10:], r.dport)
	copy(q[12:28], r.src[:])
	copy(q[28:44], r.dst[:])
	ne.PutUint64(q[48:], ^uint64(0)) // no cookie
	if err := unix.Sendto(c.fd, b[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask sock_diag: %w", err)
	}
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read sock_diag: %w", err)
		}
		done, err := c.parse(c.buf[:n], r.dump, each)
		if done || err != nil {
			return err
		}
	}
}

// parse reads one datagram of netlink messages and reports whether it was the last.
func (c *Conn) parse(b []byte, dump bool, each func(*reply)) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) >= headerSize {
		n := int(ne.Uint32(b))
		if n < headerSize || n > len(b) {
			return true, errors.New("read sock_diag: message of impossible length")
		}
		body, mine := b[headerSize:n], ne.Uint32(b[8:]) == c.seq
		typ := ne.Uint16(b[4:])
		b = b[min(len(b), (n+3)&^3):]
		switch {
		case !mine: // an answer that an earlier error left behind
		case typ == unix.NLMSG_DONE:
			return true, nil
		case typ == unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, errors.New("read sock_diag: short error")
			}
			if e := -int32(ne.Uint32(body)); e != 0 {
				return true, unix.Errno(e)
			}
			return true, nil
		case typ == byFamily && len(body) >= messageSize:
			r := reply{state: body[1], sport: binary.BigEndian.Uint16(body[4:]), rqueue: ne.Uint32(body[56:]), wqueue: ne.Uint32(body[60:])}
			copy(r.src[:], body[8:24])
			each(&r)
			if !dump {
				return true, nil
			}
		}
	}
	return false, nil
}

// gone reports whether an error only says that there is no such socket.
func gone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, os.ErrNotExist) }
