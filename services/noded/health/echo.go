package health

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"weir/dataplane/packet"
	"weir/services/noded/membership"
)

// echoSize is an ICMP echo with eight bytes of data (RFC 792).
const echoSize = 16

// openEcho opens a socket for ICMP echoes from an address. A node that sees
// nobody asks the routers whether it is its own way that is broken.
func openEcho(from netip.Addr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return -1, fmt.Errorf("open socket for ICMP echoes: %w", err)
	}
	// ICMP_FILTER of the kernel's raw(7): nothing but answers.
	const icmpFilter, echoReply = 1, 0
	if err := unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1 << echoReply)); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("filter ICMP: %w", err)
	}
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind ICMP to %s: %w", from, err)
	}
	return fd, nil
}

// putEcho writes an ICMP echo request that carries a nonce.
func putEcho(d []byte, nonce uint64) []byte {
	d = d[:echoSize]
	clear(d)
	d[0] = 8 // echo
	binary.BigEndian.PutUint64(d[8:], nonce)
	binary.BigEndian.PutUint16(d[2:], packet.Checksum(d))
	return d
}

// getEcho reads the nonce of an answered echo from an IPv4 packet.
func getEcho(d []byte) (nonce uint64, ok bool) {
	if len(d) < packet.IPv4Size || d[0]>>4 != 4 {
		return 0, false
	}
	header := int(d[0]&0xf) * 4
	if header < packet.IPv4Size || len(d) != header+echoSize || d[header] != 0 || d[header+1] != 0 {
		return 0, false
	}
	return binary.BigEndian.Uint64(d[header+8:]), true
}

// echo asks all routers whether our way to them works. Without routers there is
// nobody to ask, and nothing that depends on the answer.
func (l *Loop) echo(nonce uint64) {
	var buf [echoSize]byte
	for _, r := range l.routers {
		send(l.sockets.echo, putEcho(buf[:], nonce), netip.AddrPortFrom(r, 0))
	}
	if len(l.routers) == 0 {
		l.inbox.post(func() { l.works(nonce) })
	}
}

func (l *Loop) echoed(d []byte, from netip.AddrPort) {
	if nonce, ok := getEcho(d); ok && slices.Contains(l.routers, from.Addr()) {
		l.works(nonce)
	}
}

func (l *Loop) works(nonce uint64) {
	l.core.Pong(clock(), membership.Pong{Node: l.me.Number, Nonce: nonce})
}
