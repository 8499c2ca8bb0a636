// Package impair is a bad wide-area link: a relay between two interfaces that
// delays every frame, limits the rate, and loses some IP packets by a seeded
// choice. It stands in for netem, which not every kernel has.
package impair

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/qemu/netns"
)

// Link says how bad the link is, in each direction.
type Link struct {
	Delay time.Duration
	Rate  float64 // Mbit/s
	Queue int     // bytes that wait for their turn; more is lost
	Loss  float64 // share of IP packets, 0 to 1
	Seed  uint64
}

// Relay is a running link.
type Relay struct {
	fds  [2]int
	stop atomic.Bool
	done chan struct{}
}

// Start relays between two interfaces of a namespace, which nothing else uses.
func Start(ns, a, b string, link Link) (*Relay, error) {
	r := &Relay{fds: [2]int{-1, -1}, done: make(chan struct{}, 4)}
	for i, device := range []string{a, b} {
		fd, err := open(ns, device)
		if err != nil {
			r.close()
			return nil, err
		}
		r.fds[i] = fd
	}
	for i := range r.fds {
		frames := make(chan frame, 4096)
		go r.receive(r.fds[i], frames, link, rand.New(rand.NewPCG(link.Seed, uint64(i))))
		go r.send(r.fds[1-i], frames)
	}
	return r, nil
}

// Stop ends the relay.
func (r *Relay) Stop() {
	r.stop.Store(true)
	for range 4 {
		<-r.done
	}
	r.close()
}

func (r *Relay) close() {
	for _, fd := range r.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

type frame struct {
	due  time.Time
	data []byte
}

// receive decides what becomes of each frame: lost, or due at some time.
func (r *Relay) receive(fd int, out chan<- frame, link Link, random *rand.Rand) {
	defer func() { close(out); r.done <- struct{}{} }()
	var free time.Time // when the link will have sent everything before
	room := make([]byte, 65536)
	for !r.stop.Load() {
		n, _, err := unix.Recvfrom(fd, room, 0)
		if err == unix.EINTR || err == unix.EAGAIN { // the timeout, to look at stop
			continue
		}
		if err != nil {
			return
		}
		now := time.Now()
		if isIP(room[:n]) && random.Float64() < link.Loss {
			continue
		}
		if free.Before(now) {
			free = now
		}
		if backlog := free.Sub(now).Seconds() * link.Rate * 1e6 / 8; backlog > float64(link.Queue) {
			continue
		}
		free = free.Add(time.Duration(float64(n*8) / (link.Rate * 1e6) * float64(time.Second)))
		out <- frame{due: free.Add(link.Delay), data: append([]byte(nil), room[:n]...)}
	}
}

func (r *Relay) send(fd int, in <-chan frame) {
	defer func() { r.done <- struct{}{} }()
	for f := range in {
		if wait := time.Until(f.due); wait > 0 {
			time.Sleep(wait)
		}
		unix.Send(fd, f.data, 0) // a full device queue is one more loss
	}
}

func isIP(b []byte) bool {
	if len(b) < 14 {
		return false
	}
	kind := binary.BigEndian.Uint16(b[12:])
	// Neighbour discovery is IP too, and losing it would only make runs differ.
	return kind == unix.ETH_P_IP || kind == unix.ETH_P_IPV6 && len(b) > 20 && b[20] != unix.IPPROTO_ICMPV6
}

func open(ns, device string) (fd int, err error) {
	err = netns.Do(ns, func() error {
		link, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // network byte order
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20); err != nil {
			return err
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200_000}); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index})
	})
	if err != nil {
		return -1, fmt.Errorf("open %s in %s: %w", device, ns, err)
	}
	return fd, nil
}
