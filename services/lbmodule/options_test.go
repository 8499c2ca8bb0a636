package main

import (
	"crypto/sha256"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/dataplane/wire"
)

// settle makes what a client's kernel offers, or a server's grants, different;
// what settings do not name is as usual.
func (w *world) settle(ns, settings string) {
	settings = "tcp_timestamps=1 tcp_sack=1 tcp_window_scaling=1 tcp_rmem=6291456 " + settings
	for _, s := range strings.Fields(settings) {
		w.sh(ns, "sysctl -qw net.ipv4."+strings.Replace(s, "tcp_rmem=", "tcp_rmem='4096 65536 ", 1)+
			map[bool]string{true: "'"}[strings.HasPrefix(s, "tcp_rmem")])
	}
}

func TestEveryMixtureOfOptionsCarriesData(t *testing.T) {
	const size = 2 << 20
	want := sha256.Sum256(payload(size))
	w := newWorld(t)
	w.start()
	w.listen(func(c net.Conn) {
		if _, err := io.CopyN(io.Discard, c, size); err == nil {
			_, _ = c.Write(payload(size))
		}
	})
	for name, tc := range map[string]struct{ client, server string }{
		"no timestamps":       {"tcp_timestamps=0", ""},
		"no SACK":             {"tcp_sack=0", ""},
		"no window scale":     {"tcp_window_scaling=0", ""},
		"none":                {"tcp_timestamps=0 tcp_sack=0 tcp_window_scaling=0", ""},
		"server's scale is 1": {"", "tcp_rmem=131072"},
		"server's scale is 5": {"", "tcp_rmem=2000000"},
		"server's scale is 9": {"", "tcp_rmem=32000000"},
	} {
		t.Run(name, func(t *testing.T) {
			w.settle(nodeNS, tc.client)
			w.settle(serverNS, tc.server)
			for _, vip := range []string{vip4, vip6} {
				c := w.dial(vip)
				go func() { _, _ = c.Write(payload(size)) }()
				h := sha256.New()
				if n, err := io.Copy(h, c); err != nil || [32]byte(h.Sum(nil)) != want {
					t.Fatalf("%s: %d bytes, %v", vip, n, err)
				}
			}
		})
	}
	w.noTranslationErrors()
}

func TestAServerThatCannotHonourThePromiseRejects(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	for name, setting := range map[string]string{
		"timestamps": "tcp_timestamps=0", "SACK": "tcp_sack=0", "window scale": "tcp_window_scaling=0",
	} {
		t.Run(name, func(t *testing.T) {
			w.settle(serverNS, setting)
			if !w.refused(vip4) {
				t.Error("a connection came of it")
			}
			if m, _ := w.node.last(wire.MsgReject); m.Reason != wire.RejectOptions {
				t.Errorf("reason is %d", m.Reason)
			}
			w.eventually("the kernel forgets the attempt", func() bool {
				return strings.TrimSpace(w.sh(serverNS, "ss -Htan state syn-recv")) == ""
			})
		})
	}
}

func TestTheEndOfAConnectionIsSeenByBothSides(t *testing.T) {
	w := newWorld(t)
	w.start()
	ended := make(chan error, 4)
	w.listen(func(c net.Conn) {
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil {
			ended <- err
			return
		}
		switch string(b) {
		case "reset":
			_ = c.(*net.TCPConn).SetLinger(0)
		case "flush":
			_, err := io.ReadAll(c)
			ended <- err
			_, _ = io.WriteString(c, "done") // half-closed: our way is still open
		}
	})
	c := w.dial(vip4)
	_, _ = io.WriteString(c, "reset")
	if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the server's reset arrives as %v", err)
	}
	c = w.dial(vip6)
	_, _ = io.WriteString(c, "flush")
	_ = c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil || string(b) != "done" {
		t.Errorf("after a half close: %q, %v", b, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server saw %v", err)
	}
	c = w.dial(vip4)
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "reset") {
			t.Errorf("the client's reset arrives as %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the client's reset does not arrive")
	}
}

func TestATupleIsUsedAgain(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(func(c net.Conn) { _, _ = io.WriteString(c, "bye") }) // the server closes first: its side is in TIME_WAIT
	w.sh(nodeNS, "sysctl -qw net.ipv4.ip_local_port_range='50000 50001' net.ipv4.tcp_tw_reuse=0")
	for i := range 6 {
		c := w.dial(vip4)
		b, err := io.ReadAll(c)
		if err != nil || string(b) != "bye" {
			t.Fatalf("connection %d from %s: %q, %v", i, c.LocalAddr(), b, err)
		}
		_ = c.Close()
	}
}
