package diag

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"weir/dataplane/flow"
)

// Multicast groups of sock_diag (linux/sock_diag.h).
const (
	groupTCPDestroy  = 1 // SKNLGRP_INET_TCP_DESTROY
	groupTCP6Destroy = 3 // SKNLGRP_INET6_TCP_DESTROY
)

// protoTCP is TCP's IP protocol number.
const protoTCP = 6

// Events tells of TCP sockets that the kernel has destroyed. What comes faster
// than it is read is lost: the events only hasten what a slow look finds too.
type Events struct {
	file *os.File
	buf  []byte
}

// OpenEvents begins to listen, in the network namespace of the calling thread.
func OpenEvents() (*Events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open a sock_diag socket: %w", err)
	}
	e := &Events{file: os.NewFile(uintptr(fd), "sock_diag"), buf: make([]byte, 64<<10)}
	groups := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1<<(groupTCPDestroy-1) | 1<<(groupTCP6Destroy-1)}
	if err := unix.Bind(fd, groups); err != nil {
		e.file.Close()
		return nil, fmt.Errorf("listen for destroyed sockets: %w", err)
	}
	return e, nil
}

// Close ends Read.
func (e *Events) Close() error { return e.file.Close() }

// Read waits for events and calls each with the flow of every destroyed socket,
// seen from its client. An error other than os.ErrClosed says that some were lost.
func (e *Events) Read(each func(k *flow.Key)) error {
	n, err := e.file.Read(e.buf)
	if err != nil {
		return err
	}
	for b := e.buf[:n]; len(b) >= headerSize; {
		size := int(binary.NativeEndian.Uint32(b))
		if size < headerSize || size > len(b) {
			break
		}
		if body := b[headerSize:size]; binary.NativeEndian.Uint16(b[4:]) == byFamily && len(body) >= messageSize {
			k := flowOf(body)
			each(&k)
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return nil
}

// flowOf reads struct inet_diag_msg: family 1, state 1, timer 1, retransmits 1,
// own port 2, peer's port 2, own address 16, peer's address 16.
func flowOf(m []byte) flow.Key {
	k := flow.Key{Proto: protoTCP, VIPPort: binary.BigEndian.Uint16(m[4:]), ClientPort: binary.BigEndian.Uint16(m[6:])}
	if m[0] == unix.AF_INET {
		k.SetIPv4([4]byte(m[24:]), [4]byte(m[8:]))
	} else {
		copy(k.VIP[:], m[8:24])
		copy(k.Client[:], m[24:40])
	}
	return k
}
