package guard

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

var start = time.Unix(1_800_000_000, 0)

func TestARateFillsAgainAndForgetsWhoIsQuiet(t *testing.T) {
	r, a := NewRate(2, 4), netip.MustParseAddr("10.0.0.1")
	count := func(at time.Time) (n int) {
		for r.Allow(a, at) {
			n++
		}
		return n
	}
	if n := count(start); n != 4 {
		t.Errorf("%d at once", n)
	}
	if n := count(start.Add(time.Second)); n != 2 {
		t.Errorf("%d after a second", n)
	}
	if n := count(start.Add(-time.Hour)); n != 0 {
		t.Errorf("%d when the clock goes back", n)
	}
	c := netip.MustParseAddr("10.1.0.0")
	for range 2 * maxClients {
		c = c.Next()
		r.Allow(c, start)
	}
	if len(r.clients) > maxClients {
		t.Errorf("%d clients are remembered", len(r.clients))
	}
	r.Allow(netip.MustParseAddr("10.9.9.9"), start.Add(time.Hour))
	if len(r.clients) > 2 {
		t.Errorf("%d clients are remembered after an hour", len(r.clients))
	}
}

func TestConnectionsOfOneClientLeaveRoomForOthers(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan struct{}, 10)
	l := &Listener{inner, NewSlots(2, 3), func() { refused <- struct{}{} }}
	defer l.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(from string) {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	dial("127.0.0.1")
	dial("127.0.0.1")
	first := <-accepted
	<-accepted
	dial("127.0.0.1")
	<-refused
	dial("127.0.0.2")
	<-accepted
	dial("127.0.0.3")
	<-refused // all three are taken
	first.Close()
	first.Close() // twice is once
	dial("127.0.0.3")
	<-accepted
}

func TestALineIsSaidOnceAMinute(t *testing.T) {
	var s Said
	if !s.New("a", start) || s.New("a", start.Add(time.Second)) || !s.New("b", start) || !s.New("a", start.Add(61*time.Second)) {
		t.Error("said wrongly")
	}
	n := 0
	for i := range 1000 {
		if s.New(string(rune('a'+i)), start.Add(62*time.Second)) {
			n++
		}
	}
	if n > maxLines {
		t.Errorf("%d lines in a minute", n)
	}
}
