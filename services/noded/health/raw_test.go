package health

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

func TestAPingToTheNorthGoesToTheRoutersLinkAddress(t *testing.T) {
	router := netip.MustParseAddr("10.10.0.1")
	there, err := net.InterfaceByName("router")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, 0x0300) // ETH_P_ALL, network order
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: there.Index}); err != nil {
		t.Fatal(err)
	}
	r, err := newRawSender("weir-north", netip.MustParseAddr("10.10.0.11"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	// 10.10.0.12 is this machine's own: by the routing table it would never leave.
	to, body := netip.MustParseAddr("10.10.0.12"), bytes.Repeat([]byte{7}, wire.PingSize)
	if err := r.send(router, to, body); !errors.Is(err, errNoRouter) {
		t.Fatalf("before the link address is known: %v", err)
	}
	r.learn([]netip.Addr{router})
	if err := r.send(router, to, body); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	eventually(t, 5*time.Second, "the frame", func() string {
		n, err := unix.Read(fd, buf)
		if err != nil || n < 100 || buf[12] != 8 || buf[13] != 0 {
			return "not yet"
		}
		buf = buf[:n]
		return ""
	})
	if got := net.HardwareAddr(buf[:6]).String(); got != "02:00:00:00:00:01" {
		t.Errorf("it goes to %s", got)
	}
	if packet.Checksum(buf[14:34]) != 0 {
		t.Error("the header's checksum is wrong")
	}
	if got := netip.AddrFrom4([4]byte(buf[30:34])); got != to || buf[23] != packet.ProtoUDP || !bytes.Equal(buf[42:], body) {
		t.Errorf("it is for %s: %x", got, buf)
	}
}
