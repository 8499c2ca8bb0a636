package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// buffer is what the kernel may hold for each of the agent's sockets, in bytes:
// a burst of offers, or of answers to them, must outlast a pause of the agent.
const buffer = 4 << 20

// enlarge sets a socket's receive buffer, beyond the system's limit for others.
func enlarge(c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
	})
	return errors.Join(err, set)
}

// listenControl opens a socket for control datagrams.
func listenControl(address netip.Addr, port uint16) (*net.UDPConn, error) {
	at := net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, port))
	c, err := net.ListenUDP("udp4", at)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %s: %w%s", at, err, inUse(err))
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = enlarge(raw)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("set the buffer of UDP %s: %w", at, err)
	}
	return c, nil
}

// healthPort is where nodes and operators ask for health and metrics (contract).
const healthPort = 6091

func listenHealth(address netip.Addr) (net.Listener, error) {
	at := netip.AddrPortFrom(address, healthPort).String()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", at)
	if err != nil {
		return nil, fmt.Errorf("listen on TCP %s: %w%s", at, err, inUse(err))
	}
	return l, nil
}

// inUse says what to do about a failed listen.
func inUse(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "; another program, or another lbmodule, has it"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "; the server's address in the cluster file must be one of this machine"
	}
	return ""
}

// packetSocket is the agent's end of the veth pair.
type packetSocket struct {
	file *os.File
	to   unix.SockaddrLinklayer
	mac  [6]byte // of weir0
}

// handshakesOnly lets the heads of frames pass but for UDP over IPv4: on
// kernels that need it, tunnel packets of IPv6 connections bounce on weir1.
var handshakesOnly = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.ETH_P_IP, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 9},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: frameSize},
}

// openPacket opens a raw socket on weir1 that sees what weir0 sent, and not what it sends itself.
func openPacket(index int, mac [6]byte) (*packetSocket, error) {
	all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	p := &packetSocket{file: os.NewFile(uintptr(fd), "packet"), to: unix.SockaddrLinklayer{Protocol: all, Ifindex: index}, mac: mac}
	prog := unix.SockFprog{Len: uint16(len(handshakesOnly)), Filter: &handshakesOnly[0]}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog))
	if err != nil {
		p.file.Close()
		return nil, fmt.Errorf("set up the packet socket: %w", err)
	}
	if err := unix.Bind(fd, &p.to); err != nil {
		p.file.Close()
		return nil, fmt.Errorf("bind the packet socket to interface %d: %w", index, err)
	}
	return p, nil
}

// send transmits a frame whose MACs are still zero but for the mark of its kind.
func (p *packetSocket) send(frame []byte) error {
	copy(frame[:6], p.mac[:])
	_, err := p.file.Write(frame)
	return err
}

// exists reports whether the interface is still there.
func (p *packetSocket) exists() bool {
	_, err := net.InterfaceByIndex(p.to.Ifindex)
	return err == nil
}

func (p *packetSocket) Close() error { return p.file.Close() }
