package clock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/beevik/ntp"

	"weir/init/phase"
)

const (
	step        = 128 * time.Millisecond // a larger offset is corrected at once (RFC 5905, STEPT)
	between     = 10 * time.Minute       // questions while servers answer
	firstRetry  = 4 * time.Second        // doubled while none answers, up to between
	answerLimit = 2 * time.Second
)

// Query asks one server by how much the clock is behind.
type Query func(server netip.Addr) (offset time.Duration, err error)

// AskNTP is the Query of the real network.
func AskNTP(server netip.Addr) (time.Duration, error) {
	r, err := ntp.QueryWithOptions(netip.AddrPortFrom(server, 123).String(), ntp.QueryOptions{Timeout: answerLimit})
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return 0, op.Err // without the ports, which differ each time
	}
	if err != nil {
		return 0, err
	}
	if err := r.Validate(); err != nil {
		return 0, err
	}
	return r.ClockOffset, nil
}

// Keep saves the time now and then, and asks the servers in their order until
// one answers, until ctx ends. Update is told when the source changes.
func (c *Clock) Keep(ctx context.Context, servers []netip.Addr, ask Query, update func(phase.Outcome)) {
	pause := firstRetry
	for nextSave := time.Now(); ; {
		server, err := c.correct(servers, ask)
		switch {
		case err == nil && server.IsValid():
			pause = between
			update(phase.Detail("ntp %s", server))
			nextSave = time.Now()
		case err != nil:
			update(phase.Degrade("look whether the control network reaches the servers in machine.ntp", "no NTP server answers: %v", err))
		default:
			pause = between
		}
		if !time.Now().Before(nextSave) {
			_ = c.Save() // a disk that takes nothing shows in the phase state
			nextSave = time.Now().Add(between)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, between)
		}
	}
}

// correct sets the clock by the first server that answers. Without servers it
// does nothing.
func (c *Clock) correct(servers []netip.Addr, ask Query) (netip.Addr, error) {
	var last error
	for _, server := range servers {
		offset, err := ask(server)
		if err == nil {
			err = c.apply(offset)
		}
		if err != nil {
			last = fmt.Errorf("%s: %w", server, err)
			continue
		}
		c.mu.Lock()
		c.source = "ntp " + server.String()
		c.mu.Unlock()
		return server, nil
	}
	return netip.Addr{}, last
}

func (c *Clock) apply(offset time.Duration) error {
	c.mu.Lock()
	build := c.build
	c.mu.Unlock()
	right := c.sys.Now().Add(offset)
	if !believable(right, build) {
		return fmt.Errorf("says %s, which cannot be: this image is of %s", right.UTC().Format(time.DateOnly), build.UTC().Format(time.DateOnly))
	}
	if offset.Abs() < step {
		return c.sys.Slew(offset)
	}
	if err := c.sys.Set(right); err != nil {
		return err
	}
	_ = c.sys.SetRTC(right) // a machine may have none
	return nil
}
