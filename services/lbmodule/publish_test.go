package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/dataplane/flow"
)

// published is what the module said of a client's connection so far.
func (w *world) published(c net.Conn) []publication {
	k := flow.MakeKey(c.LocalAddr().(*net.TCPAddr).AddrPort(), c.RemoteAddr().(*net.TCPAddr).AddrPort(), protoTCP)
	w.node.mu.Lock()
	defer w.node.mu.Unlock()
	return append([]publication(nil), w.node.connections[k]...)
}

// last is the newest of them.
func (w *world) last(c net.Conn) (p publication, ok bool) {
	all := w.published(c)
	if len(all) == 0 {
		return p, false
	}
	return all[len(all)-1], true
}

func TestConnectionsArePublishedUntilTheKernelForgetsThem(t *testing.T) {
	w := newWorld(t)
	w.write("cluster.yaml", clusterYAML+"publishing: {interval: 100ms, lease: 1s}\n")
	w.start()
	half := make(chan net.Conn, 4)
	w.listen(func(c net.Conn) {
		half <- c
		echo(c)
	})
	for _, vip := range []string{vip4, vip6} {
		c := w.dial(vip)
		exchange(t, c, "hello")
		w.eventually("the connection is published ten times", func() bool { return len(w.published(c)) >= 10 })
		all := w.published(c)
		if took := all[9].at.Sub(all[0].at); took > 2*time.Second {
			t.Errorf("%s: ten publications took %s, want about a second", vip, took)
		}
		p := all[0]
		w.node.mu.Lock()
		want := w.node.flows[p.Key].offer
		w.node.mu.Unlock()
		if p.ClientISN != want.ClientISN || p.ServerISN != want.ServerISN || p.Server != 1 || p.Ingress != 1 || p.Closing {
			t.Errorf("%s: published is %+v", vip, p.Publication)
		}
		// The server ends its half: FIN_WAIT, which the client may stay in for hours.
		if err := (<-half).(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		w.eventually("the kernel is in FIN_WAIT", func() bool { return strings.HasPrefix(w.sockets(c), "FIN-WAIT") })
		n := len(w.published(c))
		w.eventually("it is published twice more", func() bool { return len(w.published(c)) >= n+2 })
		if p, _ := w.last(c); p.Closing {
			t.Errorf("%s: half-closed is published as closing", vip)
		}
		c.Close()
		w.eventually("TIME_WAIT is published as closing", func() bool {
			p, _ := w.last(c)
			return time.Since(p.at) < time.Second && p.Closing && w.sockets(c) == "TIME-WAIT"
		})
	}
	w.noTranslationErrors()
}

// sockets is the state of the server's end of a connection.
func (w *world) sockets(c net.Conn) string {
	peer := c.LocalAddr().(*net.TCPAddr).AddrPort()
	out := w.sh(serverNS, "ss -Htan state all dst "+netip.AddrPortFrom(peer.Addr(), peer.Port()).String()+" | cut -d' ' -f1")
	if len(out) > 0 && out[len(out)-1] == '\n' {
		out = out[:len(out)-1]
	}
	return out
}
