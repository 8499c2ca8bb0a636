package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/services/api"
	"weir/services/capture"
)

// arpFrame asks who has 10.10.0.1.
var arpFrame = append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6},
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 10, 0, 11, 0, 0, 0, 0, 0, 0, 10, 10, 0, 1)

func someFrames(n int) *api.CapturedFrames {
	m := &api.CapturedFrames{Lost: 3}
	for i := range n {
		m.Frames = append(m.Frames, &api.CapturedFrame{Nanoseconds: 1e18, Sent: i%2 == 1, Length: uint32(len(arpFrame)), Data: arpFrame})
	}
	return m
}

func TestCapturesAreShownAndRecorded(t *testing.T) {
	r := newRig(t, func(f *fakes) { f.frames = someFrames(4) }, nil)
	r.prompt()
	r.types("capture north host 10.10.0.1 -c 2 port 179\r")
	r.sees("Password:")
	r.types(password + "\r")
	file := filepath.Join(r.dir, "capture-north.pcapng")
	r.sees("01:46:40.000000 in  ARP who has 10.10.0.1? tell 10.10.0.11", "2 packets, ", "3 more were too fast")
	r.wasAsked("capture north host 10.10.0.1 port 179")
	if b, err := os.ReadFile(file); err != nil || strings.Count(string(b), string(arpFrame)) != 2 {
		t.Errorf("the file has %d bytes: %v", len(b), err)
	}
	r.atPrompt()
	r.on("capture south") // until Ctrl-C
	r.sees("out ARP who has 10.10.0.1?")
	r.types("\x03")
	r.sees("4 packets, ")
	r.atPrompt()
	r.change(func() { r.frames = nil })
	r.does("capture north", "another capture runs; end it first")
	for line, want := range map[string]string{
		"capture": "usage: capture SIDE", "capture east": "usage: capture SIDE", "capture north -c": "usage: capture SIDE", "capture north -c 0": "usage: capture SIDE",
		"capture north host": "host what?", "capture north port 70000": `"70000" is not a port`, "capture north tcp 1": "is no filter",
	} {
		r.does(line, want)
	}
	r.change(func() { b := goodBoot(); b.Nics[2].Mac = "52:54:00:00:03:99"; r.boot = b })
	r.does("capture control", "the kernel has no interface for the control NIC 52:54:00:00:03:99")
	r.change(func() { b := goodBoot(); b.Nics = b.Nics[:2]; r.boot = b })
	r.does("capture control", "this node has no control NIC")
}

func TestTheKernelsFramesAreRecorded(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var file bytes.Buffer
	var lines []string
	r := &capture.Recorder{Place: "control", Frames: 2, Show: func(l string) { lines = append(lines, l) }}
	if err := r.Start(&file); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- kernelFrames(ctx, "lo", capture.Filter{Port: port}, r) }()
	for running := true; running; { // the first ones may come too early
		if _, err := l.WriteTo([]byte("hello, control"), l.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		select {
		case err = <-done:
			running = false
		case <-time.After(time.Millisecond):
		}
	}
	if err != nil || strings.Count(file.String(), "hello, control") != 2 || len(lines) != 2 || !strings.Contains(lines[0], "UDP, 14 bytes") {
		t.Errorf("%v: %q", err, lines)
	}
	if err := kernelFrames(t.Context(), "missing", capture.Filter{}, r); err == nil {
		t.Error("from an interface that is not there")
	}
	cancel()
	if err := kernelFrames(ctx, "lo", capture.Filter{}, r); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestAFastCaptureDoesNotWaitForTheTerminal(t *testing.T) {
	p := &printer{lines: make(chan string, shownAhead), done: make(chan struct{})}
	close(p.done) // nobody prints
	for range 3 * shownAhead {
		p.add("a line")
	}
	if n := p.end(); n != 2*shownAhead {
		t.Errorf("%d lines were not shown", n)
	}
}
