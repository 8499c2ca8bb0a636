package soak

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
)

// Causes of a loss.
const (
	causeReset   = "reset"
	causeTimeout = "timeout"
	causeClosed  = "closed"
	causeWrong   = "wrong bytes"
)

// Loss is a connection that did not survive.
type Loss struct {
	Number int
	Kind   string
	Client string // address and port
	Target string
	Server string // namespace
	Cause  string // "reset", "timeout", "closed", "wrong bytes"
	After  time.Duration
	Err    error
}

func (l Loss) Error() string {
	return fmt.Sprintf("connection %d (%s) from %s to %s at %s lost after %.1f s: %s: %v", l.Number, l.Kind, l.Client, l.Target, l.Server, l.After.Seconds(), l.Cause, l.Err)
}

// loseTo finds the cause of an end's error.
func (s *Soak) loseTo(c *session, err error) {
	cause := causeClosed
	var slow net.Error
	switch {
	case errors.Is(err, errWrong):
		cause = causeWrong
	case errors.Is(err, io.EOF):
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		cause = causeReset
	case errors.As(err, &slow) && slow.Timeout(), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		cause = causeTimeout
	}
	s.lose(c, cause, err)
}

// lose records the first thing that went wrong with a connection.
func (s *Soak) lose(c *session, cause string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost || s.closing {
		return
	}
	c.lost = true
	l := Loss{Number: c.number, Kind: c.kind.name, Target: c.target.String(), Server: c.server, Cause: cause, After: time.Since(s.started), Err: err}
	for _, conn := range c.ends {
		if l.Client == "" {
			l.Client = conn.LocalAddr().String()
		}
		conn.Close()
	}
	s.lost = append(s.lost, l)
}

// Window is what happened since the last one was taken.
type Window struct {
	Median  time.Duration // of the connections' longest stalls
	Longest time.Duration
	Worst   string // which connection had the longest
	Noticed int    // connections with a stall that somebody notices
	Lost    int    // connections since the start

	Fresh       time.Duration // the slowest new connection
	FreshFailed int
}

// noticeable is a stall that is no mere delay.
const noticeable = 100 * time.Millisecond

// Window takes what happened since the last call.
func (s *Soak) Window() Window {
	var w Window
	now := time.Now()
	var stalls []time.Duration
	for _, c := range s.all() {
		if c.isLost() {
			continue
		}
		stall := max(c.up.take(now), c.down.take(now))
		stalls = append(stalls, stall)
		if stall > noticeable {
			w.Noticed++
		}
		if stall > w.Longest {
			w.Longest = stall
			w.Worst = fmt.Sprintf("%s at %s", c.kind.name, c.server)
		}
	}
	if len(stalls) > 0 {
		slices.Sort(stalls)
		w.Median = stalls[len(stalls)/2]
	}
	s.mu.Lock()
	w.Lost = len(s.lost)
	s.mu.Unlock()
	s.fresh.mu.Lock()
	defer s.fresh.mu.Unlock()
	w.Fresh, w.FreshFailed = s.fresh.longest, s.fresh.inWindow
	s.fresh.longest, s.fresh.inWindow = 0, 0
	return w
}

// Verdict is what became of everything.
type Verdict struct {
	Held        int // connections that were held open
	Bytes       uint64
	Lost        []Loss
	Fresh       int // new connections
	FreshFailed []error
	// Orphans is how many connections servers still have without their clients.
	Orphans int
}

func (s *Soak) verdict() *Verdict {
	v := &Verdict{Held: s.plan.Connections, Lost: s.lost, Fresh: s.fresh.total, FreshFailed: s.fresh.failed, Orphans: s.orphans}
	for _, c := range s.all() {
		v.Bytes += c.up.received + c.down.received
	}
	return v
}
