package soak

import (
	"testing"
	"time"
)

func TestAPatternKnowsEveryPosition(t *testing.T) {
	p := pattern(42)
	b := make([]byte, 4*chunk)
	p.fill(b, 0)
	for _, cut := range [][2]int{{0, len(b)}, {1, 9}, {7, 2000}, {1023, 1025}, {4095, 4096}} {
		if !p.check(b[cut[0]:cut[1]], uint64(cut[0])) {
			t.Errorf("bytes %d to %d are not recognised", cut[0], cut[1])
		}
		if p.check(b[cut[0]:cut[1]], uint64(cut[0])+chunk) {
			t.Errorf("bytes %d to %d are recognised a chunk further on", cut[0], cut[1])
		}
		if pattern(43).check(b[cut[0]:cut[1]], uint64(cut[0])) {
			t.Errorf("bytes %d to %d are recognised as another connection's", cut[0], cut[1])
		}
	}
	b[2047] ^= 1
	if p.check(b, 0) {
		t.Error("a flipped bit goes unseen")
	}
}

func TestAStallIsTimeWithBytesUnderWayAndNoProgress(t *testing.T) {
	var m meter
	at := func(seconds float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(seconds * 1e9)) }
	m.send(10, at(0))
	m.receive(10, at(0.1))
	// Silence is no stall.
	m.send(10, at(60))
	m.receive(4, at(60.5))
	m.receive(6, at(60.75))
	if got := m.take(at(61)); got != 500*time.Millisecond {
		t.Errorf("the longest stall is %v, want 0.5 s", got)
	}
	m.send(10, at(70))
	if got := m.waiting(at(72)); got != 2*time.Second {
		t.Errorf("waiting for %v, want 2 s", got)
	}
	if got := m.take(at(73)); got != 3*time.Second {
		t.Errorf("a stall that lasts counts %v, want 3 s", got)
	}
	if m.receive(11, at(74)) {
		t.Error("more bytes were received than sent, unseen")
	}
}
