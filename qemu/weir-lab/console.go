package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"weir/qemu/lab"
)

// leave is the key that ends a conversation with a console: Ctrl-].
const leave = 0x1d

// console connects the terminal with the serial console of a node.
func console(ctx context.Context, l *lab.Lab, node string) error {
	d, err := l.ReadDescription()
	if err != nil {
		return err
	}
	for _, n := range d.LBNodes {
		if n.ID != node {
			continue
		}
		if n.Serial == "" {
			return fmt.Errorf("%s has no serial console: its programs run natively; make up starts nodes that are machines", node)
		}
		return talk(ctx, n.Serial)
	}
	return fmt.Errorf("the lab has no LB node %q", node)
}

func talk(ctx context.Context, socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("connect to the console: %w", err)
	}
	defer conn.Close()
	restore, err := raw(os.Stdin)
	if err != nil {
		return err
	}
	defer restore()
	fmt.Fprint(os.Stderr, "connected; Ctrl-] leaves, return shows where you are\r\n")
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(os.Stdout, conn)
		ended <- errors.Join(err, errors.New("the machine has been switched off"))
	}()
	go func() { ended <- typed(conn, os.Stdin) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

// typed sends what is typed, until the key to leave or the end of the input.
func typed(to io.Writer, from io.Reader) error {
	buf := make([]byte, 256)
	for {
		n, err := from.Read(buf)
		if at := bytes.IndexByte(buf[:n], leave); at >= 0 {
			_, err := to.Write(buf[:at])
			return err
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the terminal: %w", err)
		}
	}
}

// raw has the terminal pass every key on, and none be shown twice. A file is
// left as it is.
func raw(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if errors.Is(err, unix.ENOTTY) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the terminal: %w", err)
	}
	now := *before
	now.Iflag &^= unix.ICRNL | unix.INLCR | unix.IXON | unix.ISTRIP
	now.Oflag &^= unix.OPOST
	now.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &now); err != nil {
		return nil, fmt.Errorf("set up the terminal: %w", err)
	}
	return func() { unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}
