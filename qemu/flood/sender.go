// Package flood sends raw frames into the lab faster than any client would:
// spoofed, stray and broken ones.
package flood

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/qemu/netns"
)

// batch is how many frames one system call sends.
const batch = 64

// MaxFrame is the longest frame that a Sender sends, bytes.
const MaxFrame = 1514

// Sender writes frames to an interface.
type Sender struct {
	fd int
}

// NewSender opens an interface in a namespace.
func NewSender(ns, device string) (*Sender, error) {
	s := &Sender{fd: -1}
	err := netns.Do(ns, func() error {
		link, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0: it receives nothing
		if err != nil {
			return err
		}
		s.fd = fd
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index})
	})
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open %s in %s for raw frames: %w", device, ns, err)
	}
	return s, nil
}

// Close releases the interface.
func (s *Sender) Close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
}

type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// Run sends count frames at the given rate per second, or as fast as it can if
// it cannot keep up, and returns how many it sent per second. next writes frame
// i into room for MaxFrame bytes and returns its length.
//
// It runs with priority: on a busy machine a flood would otherwise be none.
func (s *Sender) Run(ctx context.Context, count, rate int, next func(i int, frame []byte) int) (perSecond float64, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread, and its priority, end here
		if err = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10); err != nil {
			err = fmt.Errorf("raise the flood's priority: %w", err)
			return
		}
		perSecond, err = s.run(ctx, count, rate, next)
	}()
	<-done
	return perSecond, err
}

func (s *Sender) run(ctx context.Context, count, rate int, next func(i int, frame []byte) int) (float64, error) {
	room := make([]byte, batch*MaxFrame)
	var messages [batch]mmsghdr
	var vectors [batch]unix.Iovec
	for i := range messages {
		vectors[i].Base = &room[i*MaxFrame]
		messages[i].hdr.Iov = &vectors[i]
		messages[i].hdr.Iovlen = 1
	}
	started := time.Now()
	for sent := 0; sent < count; {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		n := min(batch, count-sent)
		for i := range n {
			length := next(sent+i, room[i*MaxFrame:(i+1)*MaxFrame])
			vectors[i].SetLen(length)
		}
		if err := s.sendAll(messages[:n]); err != nil {
			return 0, err
		}
		sent += n
		// The rate is kept over the whole run: a late batch is made up for.
		due := started.Add(time.Duration(float64(sent) / float64(rate) * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
	}
	return float64(count) / time.Since(started).Seconds(), nil
}

func (s *Sender) sendAll(messages []mmsghdr) error {
	for len(messages) > 0 {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
		switch errno {
		case 0:
			messages = messages[n:]
		case unix.EINTR, unix.ENOBUFS, unix.EAGAIN:
		default:
			return fmt.Errorf("send frames: %w", errno)
		}
	}
	return nil
}

// checksum is the Internet checksum (RFC 1071) of b on top of a partial sum.
func checksum(sum uint32, b []byte) uint16 {
	for len(b) >= 2 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
