package main

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/dataplane/wire"
)

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// exchange sends text and wants the same back.
func exchange(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("got %q, %v, want %q", b, err, text)
	}
}

// payload is size pseudo-random bytes.
func payload(size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestConnectionsPassThroughTheKernel(t *testing.T) {
	w := newWorld(t)
	w.start()
	peer := make(chan string, 1)
	w.listen(func(c net.Conn) {
		peer <- c.RemoteAddr().String()
		echo(c)
	})
	for _, vip := range []string{vip4, vip6} {
		c := w.dial(vip)
		exchange(t, c, "hello")
		if p := <-peer; p != c.LocalAddr().String() {
			t.Errorf("the server sees %s, the client is %s (S-1)", p, c.LocalAddr())
		}
	}
	w.noTranslationErrors()
}

// noTranslationErrors looks at what the kernels would complain about.
func (w *world) noTranslationErrors() {
	w.t.Helper()
	for _, ns := range []string{serverNS, nodeNS} {
		for line := range strings.Lines(w.sh(ns, "nstat -az TcpInCsumErrors TcpInErrs TcpExtPAWSEstab TcpExtTSEcrRejected TcpExtTCPACKSkippedPAWS")) {
			if f := strings.Fields(line); len(f) == 3 && f[0] != "#kernel" && f[1] != "0" {
				w.t.Errorf("%s: %s is %s", ns, f[0], f[1])
			}
		}
	}
}

func TestBulkDataArrivesWholeWithAndWithoutOffloads(t *testing.T) {
	const size = 8 << 20
	want := sha256.Sum256(payload(size))
	for _, offloads := range []string{"on", "off"} {
		t.Run("offloads "+offloads, func(t *testing.T) {
			w := newWorld(t)
			w.sh(serverNS, "ethtool -K eth0 tx "+offloads+" sg "+offloads+" tso "+offloads+" gso "+offloads+" tx-udp_tnl-segmentation "+offloads)
			w.start()
			w.listen(func(c net.Conn) {
				h := sha256.New()
				if _, err := io.CopyN(h, c, size); err != nil || !bytes.Equal(h.Sum(nil), want[:]) {
					return // the client misses its answer
				}
				_, _ = c.Write(payload(size))
			})
			for _, vip := range []string{vip4, vip6} {
				c := w.dial(vip)
				if _, err := c.Write(payload(size)); err != nil {
					t.Fatal(err)
				}
				h := sha256.New()
				if n, err := io.Copy(h, c); err != nil || !bytes.Equal(h.Sum(nil), want[:]) {
					t.Fatalf("%s: %d bytes, %v, digest equal: %v", vip, n, err, bytes.Equal(h.Sum(nil), want[:]))
				}
			}
			w.noTranslationErrors()
			w.node.mu.Lock()
			defer w.node.mu.Unlock()
			if w.node.biggest != 1472 {
				t.Errorf("the biggest packet in a tunnel has %d bytes, want full ones of 1472", w.node.biggest)
			}
		})
	}
}

func TestAServerThatSpeaksFirstIsHeardThoughMessagesAreLost(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(func(c net.Conn) { _, _ = io.WriteString(c, "220 welcome\r\n"); echo(c) })
	for name, prepare := range map[string]func(){
		"nothing lost": func() {},
		"first commit": func() { w.node.loseToModule = loseFirst(wire.MsgCommit) },
		"first accept": func() { w.node.loseFromModule = loseFirst(wire.MsgAccept) },
	} {
		t.Run(name, func(t *testing.T) {
			w.node.mu.Lock()
			w.node.loseToModule, w.node.loseFromModule = nil, nil
			prepare()
			w.node.mu.Unlock()
			for _, vip := range []string{vip4, vip6} {
				c := w.dial(vip)
				b := make([]byte, 13)
				if _, err := io.ReadFull(c, b); err != nil || string(b) != "220 welcome\r\n" {
					t.Fatalf("%s: %q, %v", vip, b, err)
				}
				exchange(t, c, "EHLO")
			}
		})
	}
	w.noTranslationErrors()
}

// loseFirst loses the first message of a type.
func loseFirst(typ uint8) func(*wire.Tracker) bool {
	lost := false
	return func(m *wire.Tracker) bool {
		if m.Type == typ && !lost {
			lost = true
			return true
		}
		return false
	}
}

func TestNothingOfTheServerReachesTheClientBeforeTheCommit(t *testing.T) {
	w := newWorld(t)
	w.start()
	accepted := make(chan struct{}, 1)
	w.listen(func(c net.Conn) { accepted <- struct{}{}; _, _ = io.WriteString(c, "early"); echo(c) })
	w.node.loseToModule = func(m *wire.Tracker) bool { return m.Type == wire.MsgCommit }
	c := w.dial(vip4)
	w.eventually("the module repeats its accept", func() bool {
		w.node.mu.Lock()
		defer w.node.mu.Unlock()
		return len(w.node.received) >= 3
	})
	select {
	case <-accepted:
		t.Fatal("the server's program has the connection before the commit")
	default:
	}
	w.node.mu.Lock()
	w.node.loseToModule = nil
	if w.node.biggest > 0 {
		t.Error("a packet of the server reached the LB node before the commit")
	}
	w.node.mu.Unlock()
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "early" {
		t.Fatalf("after the commit: %q, %v", b, err)
	}
}

func TestRestartingTheAgentDisturbsNothing(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	idle, busy := w.dial(vip4), w.dial(vip6)
	exchange(t, idle, "before")
	exchange(t, busy, "before")
	done := make(chan error, 1)
	const size = 16 << 20
	go func() {
		go func() { _, _ = busy.Write(payload(size)) }()
		h := sha256.New()
		_, err := io.CopyN(h, busy, size)
		if want := sha256.Sum256(payload(size)); err == nil && !bytes.Equal(h.Sum(nil), want[:]) {
			err = io.ErrUnexpectedEOF
		}
		done <- err
	}()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		w.stop(s)
		exchange(t, idle, "without an agent")
		w.start()
		exchange(t, idle, "with a new agent")
		exchange(t, w.dial(vip4), "new connection")
	}
	if err := <-done; err != nil {
		t.Errorf("the transfer: %v", err)
	}
	w.noTranslationErrors()
}

func TestAHandshakeSurvivesARestartOfTheAgent(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(func(c net.Conn) { _, _ = io.WriteString(c, "hello"); echo(c) })
	w.node.loseToModule = func(m *wire.Tracker) bool { return m.Type == wire.MsgCommit }
	c := w.dial(vip4)
	w.eventually("the module has accepted", func() bool { _, ok := w.node.last(wire.MsgAccept); return ok })
	w.stop(syscall.SIGKILL)
	w.node.mu.Lock()
	w.node.loseToModule = nil
	w.node.mu.Unlock()
	w.start()
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Fatalf("%q, %v", b, err)
	}
	exchange(t, c, "both ways")
}

func TestAClosedPortIsRejectedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	for _, vip := range []string{vip4, vip6} {
		begun := time.Now()
		if !w.refused(vip) {
			t.Errorf("%s: a closed port answers", vip)
		}
		if d := time.Since(begun); d > 150*time.Millisecond {
			t.Errorf("%s: the reset came after %s: silence, not the kernel's RST, decided", vip, d)
		}
		m, ok := w.node.last(wire.MsgReject)
		if !ok || m.Reason != wire.RejectRST || m.TTL != 2 {
			t.Errorf("%s: rejection is %+v", vip, m)
		}
	}
}

func TestADrainingServerKeepsItsConnectionsAndTakesNoNewOnes(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.listen(echo)
	old := w.dial(vip4)
	exchange(t, old, "before")
	if _, err := w.admin("POST", "/drain"); err != nil {
		t.Fatal(err)
	}
	w.stop(syscall.SIGTERM)
	w.start() // it goes on draining
	exchange(t, old, "during")
	if !w.refused(vip4) {
		t.Error("a draining server takes a connection")
	}
	if m, _ := w.node.last(wire.MsgReject); m.Reason != wire.RejectDraining {
		t.Errorf("reason is %d", m.Reason)
	}
	if s, err := w.status(); err != nil || s.Health != "draining" || s.Offers["draining"] != 1 {
		t.Errorf("status is %+v, %v", s, err)
	}
	if _, err := w.admin("POST", "/undrain"); err != nil {
		t.Fatal(err)
	}
	exchange(t, w.dial(vip4), "after")
}
