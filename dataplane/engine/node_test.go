package engine

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/dataplane/exception"
	"weir/dataplane/packet"
	"weir/qemu/netns"
	"weir/qemu/netns/nstest"
)

// node is one side of a node in the small: nic0, a guarded veth that the engine
// drives, and exc0, the TAP with its address; eth0 is the other end of the cable.
type node struct {
	port  *Port
	south *Port // nic1, a cable with nothing at its end
	tap   *exception.Interface
	ping  int // raw socket at the other end
}

var (
	nearAddress = netip.MustParsePrefix("10.77.0.1/24")
	farAddress  = netip.MustParsePrefix("10.77.0.2/24")
)

func newNode(t *testing.T) node {
	t.Helper()
	nstest.Must(t, netns.Veth(nstest.Home, "nic0", nstest.Away, "eth0", 1500))
	t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, "nic0")) })
	nstest.Must(t, netns.DropIngress(nstest.Home, "nic0"))
	nstest.Must(t, netns.Address(nstest.Away, "eth0", farAddress))
	mac, err := netns.MAC(nstest.Home, "nic0")
	nstest.Must(t, err)
	nstest.Must(t, netns.Tap(nstest.Home, "exc0", mac, 1500))
	t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, "exc0")) })
	nstest.Must(t, netns.Address(nstest.Home, "exc0", nearAddress))

	var n node
	n.port, err = OpenAFPacket("net_af_packet0", "nic0", pool)
	nstest.Must(t, err)
	t.Cleanup(func() { nstest.Must(t, n.port.Close()) })
	if n.port.MAC != [6]byte(mac) {
		t.Errorf("port address %x, interface %s", n.port.MAC, mac)
	}
	if n.port.wake < 0 {
		t.Error("the port's socket was not found: nothing would wake the thread")
	}
	nstest.Must(t, netns.Veth(nstest.Home, "nic1", nstest.Away, "eth1", 1500))
	t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, "nic1")) })
	n.south, err = OpenAFPacket("net_af_packet1", "nic1", pool)
	nstest.Must(t, err)
	t.Cleanup(func() { nstest.Must(t, n.south.Close()) })
	n.tap, err = exception.Open("exc0")
	nstest.Must(t, err)
	t.Cleanup(func() { nstest.Must(t, n.tap.Close()) })
	nstest.Must(t, netns.Do(nstest.Away, func() (err error) {
		n.ping, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		return err
	}))
	t.Cleanup(func() { unix.Close(n.ping) })
	return n
}

// start runs the node's engine.
func (n node) start(t *testing.T, l Layout) *Engine {
	t.Helper()
	e, err := New(Config{Pool: pool, Ports: [packet.NumPorts]*Port{n.port, n.south}, Exceptions: [packet.NumPorts]*exception.Interface{n.tap}, Layout: l})
	nstest.Must(t, err)
	stages := make([]Stage, e.Workers())
	for i := range stages {
		stages[i] = toKernel
	}
	nstest.Must(t, e.Start(stages, toKernel, steer(Slow)))
	t.Cleanup(e.Stop)
	return e
}

// pings sends one echo request of size bytes of payload from the far end and
// reports whether the answer came in time.
func (n node) pings(t *testing.T, size int, wait time.Duration) bool {
	t.Helper()
	msg := make([]byte, 8+size)
	msg[0] = 8 // echo request (RFC 792)
	binary.BigEndian.PutUint16(msg[4:], uint16(size))
	binary.BigEndian.PutUint64(msg[8:], uint64(time.Now().UnixNano()))
	binary.BigEndian.PutUint16(msg[2:], onesComplement(msg))
	if err := unix.Sendto(n.ping, msg, 0, &unix.SockaddrInet4{Addr: nearAddress.Addr().As4()}); err != nil {
		return false
	}
	deadline := time.Now().Add(wait)
	var answer [2048]byte
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		fds := []unix.PollFd{{Fd: int32(n.ping), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		k, _, err := unix.Recvfrom(n.ping, answer[:], unix.MSG_DONTWAIT)
		if err == nil && k == 20+len(msg) && answer[20] == 0 && string(answer[24:k]) == string(msg[4:]) {
			return true
		}
	}
}

// onesComplement is the Internet checksum of an even number of bytes (RFC 1071).
func onesComplement(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// toKernel is a slow worker for which everything is the kernel's.
var toKernel stageFunc = func(b *packet.Buf) { b.Verdict = packet.Kernel }
