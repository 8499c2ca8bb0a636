package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"weir/services/capture"
)

// kernelFrames records what crosses an interface of the kernel (packet(7)) until
// ctx ends.
func kernelFrames(ctx context.Context, iface string, f capture.Filter, r *capture.Recorder) error {
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return fmt.Errorf("capture on %s: %w", iface, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("capture on %s: %w", iface, err)
	}
	defer unix.Close(fd)
	poll := unix.NsecToTimeval(int64(controlPoll))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &poll); err != nil {
		return fmt.Errorf("capture on %s: %w", iface, err)
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // network order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}); err != nil {
		return fmt.Errorf("capture on %s: %w", iface, err)
	}
	buffer := make([]byte, 1<<16)
	for ctx.Err() == nil {
		n, from, err := unix.Recvfrom(fd, buffer, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return fmt.Errorf("capture on %s: %w", iface, err)
		}
		frame := buffer[:n]
		if !f.Match(frame) {
			continue
		}
		d := capture.In
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			d = capture.Out
		}
		if enough, err := r.Add(time.Now(), d, n, frame[:min(n, captureSnap)]); enough || err != nil {
			return err
		}
	}
	return nil
}
