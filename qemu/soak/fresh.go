package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"weir/qemu/netns"
)

// freshPattern is what every new connection gets.
const freshPattern = pattern(0x77656972)

// freshTally is what became of new connections.
type freshTally struct {
	mu       sync.Mutex
	total    int
	failed   []error
	longest  time.Duration // since the last window
	inWindow int           // failures since the last window
}

// openFresh opens new connections at the plan's rate, each for one small
// exchange.
func (s *Soak) openFresh() {
	if s.plan.Rate == 0 {
		return
	}
	tick := time.NewTicker(time.Second / time.Duration(s.plan.Rate))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			target := s.plan.Targets[i%len(s.plan.Targets)]
			s.news.Go(func() {
				began := time.Now()
				err := exchange(s.plan.Client, target, s.plan.Patience)
				s.fresh.count(time.Since(began), err)
			})
		}
	}
}

func (t *freshTally) count(took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	t.longest = max(t.longest, took)
	if err != nil {
		t.failed = append(t.failed, err)
		t.inWindow++
	}
}

// exchange connects, asks for a chunk, verifies it and closes.
func exchange(namespace string, target netip.AddrPort, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := netns.Dialer(namespace, net.Dialer{})(ctx, "tcp", target.String())
	if err != nil {
		return fmt.Errorf("new connection: %w", err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if _, err := conn.Write(hello(0)); err != nil {
		return fmt.Errorf("new connection from %v: %w", conn.LocalAddr(), err)
	}
	got := make([]byte, chunk)
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("new connection from %v to %v: %w", conn.LocalAddr(), target, err)
	}
	if !freshPattern.check(got, 0) {
		return fmt.Errorf("new connection from %v to %v: %w", conn.LocalAddr(), target, errWrong)
	}
	return nil
}

// serveFresh answers a new connection and waits for the client to close it, so
// that the client's side keeps the TIME_WAIT.
func serveFresh(conn net.Conn) error {
	defer conn.Close()
	b := make([]byte, chunk)
	freshPattern.fill(b, 0)
	if _, err := conn.Write(b); err != nil {
		return err
	}
	if n, err := conn.Read(b); n > 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("unexpected end of a new connection: %w", err)
	}
	return nil
}
