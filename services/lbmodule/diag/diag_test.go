package diag

import (
	"net"
	"net/netip"
	"testing"

	"weir/dataplane/flow"
	"weir/services/lbmodule/agent"
)

func TestAnEstablishedConnectionIsLiveAndAnUnknownTupleIsNot(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		c, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		from, to := client.LocalAddr().(*net.TCPAddr).AddrPort(), l.Addr().(*net.TCPAddr).AddrPort()
		k := flow.MakeKey(from, to, 6)
		if s := c.Lookup(&k); s != agent.SocketLive {
			t.Errorf("%s: state of a live connection is %d", address, s)
		}
		k.ClientPort ^= 1
		if s := c.Lookup(&k); s != agent.SocketNone {
			t.Errorf("%s: state of an unknown tuple is %d, though only the listener fits", address, s)
		}
		e := agent.Endpoint{Address: to.Addr(), Proto: 6, PortFirst: to.Port(), PortLast: to.Port()}
		waiting, size, err := c.Backlog([]agent.Endpoint{e})
		if err != nil || waiting != 1 || size == 0 {
			t.Errorf("%s: backlog is %d of %d, %v; one connection waits", address, waiting, size, err)
		}
		e.Address = netip.MustParseAddr("203.0.113.10")
		if _, size, _ := c.Backlog([]agent.Endpoint{e}); size != 0 {
			t.Errorf("%s: a listener of another address counts", address)
		}
	}
}
