package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"weir/qemu/lab"
	"weir/qemu/soak"
	"weir/qemu/topology"
)

// Size of the traffic, and the limits that it is held to.
const (
	held     = 300
	pace     = 100 * time.Millisecond // between two chunks of a busy flow
	rate     = 100
	patience = 30 * time.Second

	stallMedian      = time.Second     // of the steps' longest stalls
	stallLimit       = 3 * time.Second // of any
	withdrawalMedian = 500 * time.Millisecond
)

// Trial is connections that are held open through a lab, and what they noticed
// of the steps that were taken.
type Trial struct {
	// Dwell is how long a step lasts at least.
	Dwell time.Duration
	// Slow excuses the stalls of the steps that are taken while it is set: nobody
	// is left to forward.
	Slow bool

	ctx    context.Context
	lab    *lab.Lab
	soak   *soak.Soak
	routes *lab.RouteWatch
	table  *table

	stalls      []time.Duration // longest of every step
	withdrawals []time.Duration // after sudden deaths
	failed      []error
}

// Begin starts servers on the test endpoint and establishes connections of
// every kind, whose idle ones are silent for that long each time. A step then
// lasts until each of them has spoken, unless Dwell is changed.
func Begin(ctx context.Context, l *lab.Lab, out io.Writer, idle time.Duration) (*Trial, error) {
	vip := l.Top.VIPs[1]
	t := &Trial{ctx: ctx, lab: l, table: newTable(out), Dwell: idle + idle/2}
	t.soak = soak.New(soak.Plan{
		Client:      topology.ClientName,
		Targets:     []netip.AddrPort{netip.AddrPortFrom(vip.Address, vip.Port), netip.AddrPortFrom(vip.Address6, vip.Port)},
		Connections: held, Pace: pace, Idle: idle, Rate: rate, Patience: patience,
		Explain: func(client, target netip.AddrPort) string { return l.Explain(client, target) },
	})
	routes, err := l.WatchRoutes()
	if err != nil {
		return nil, err
	}
	t.routes = routes
	for _, server := range l.Top.Servers {
		if err = t.Serve(server); err != nil {
			break
		}
	}
	if err == nil {
		err = t.soak.Open(ctx)
	}
	if err != nil {
		t.soak.Close()
		routes.Close()
		return nil, err
	}
	return t, nil
}

// Serve starts the trial's server on a machine that has joined.
func (t *Trial) Serve(s topology.Server) error {
	return t.soak.Listen(s.Namespace, t.lab.Top.VIPs[1].Port)
}

// End closes all connections, prints the totals and compares with what is
// promised.
func (t *Trial) End() error {
	v := t.soak.Close()
	t.routes.Close()
	t.table.end(v, t.stalls, t.withdrawals)
	failed := t.failed
	if n := len(v.Lost); n > 0 {
		failed = append(failed, fmt.Errorf("%d connections were lost; the first: %w", n, v.Lost[0]))
	}
	if n := len(v.FreshFailed); n > 0 {
		failed = append(failed, fmt.Errorf("%d new connections failed; the first: %w", n, v.FreshFailed[0]))
	}
	if m := median(t.stalls); m > stallMedian {
		failed = append(failed, fmt.Errorf("the longest stall of a step is %v at the median, more than %v", m, stallMedian))
	}
	if m := slices.Max(append(t.stalls, 0)); m > stallLimit {
		failed = append(failed, fmt.Errorf("the longest stall is %v, more than %v", m, stallLimit))
	}
	if m := median(t.withdrawals); m > withdrawalMedian {
		failed = append(failed, fmt.Errorf("the router withdrew after %v at the median of %d, more than %v", m, len(t.withdrawals), withdrawalMedian))
	}
	return errors.Join(failed...)
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}
