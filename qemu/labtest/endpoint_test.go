package labtest

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// everyServerListens starts a TCP server on the test endpoint's port on all
// servers, until the test ends. serve gets each connection, which is closed
// after it.
func everyServerListens(t *testing.T, serve func(id string, conn net.Conn)) {
	t.Helper()
	for _, s := range theLab.Top.Servers {
		serverListens(t, s, serve)
	}
}

// serverListens does so on one server.
func serverListens(t *testing.T, s topology.Server, serve func(id string, conn net.Conn)) {
	t.Helper()
	l, err := netns.Listen(s.Namespace, "tcp", ":7000")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			wg.Go(func() {
				serve(s.ID, conn)
				conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// dial connects the client. The connection closes with the test.
func dial(t *testing.T, target netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := netns.Dialer(topology.ClientName, net.Dialer{Timeout: 30 * time.Second})(within(t, time.Minute), "tcp", target.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
