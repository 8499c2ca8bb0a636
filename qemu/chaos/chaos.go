// Package chaos disturbs a running lab in every way that an operator or fate
// could, while real connections are held open through it, and reports what the
// connections noticed: lost ones, stalls, and how long the router needed.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	idle     = 4 * time.Second
	rate     = 100
	patience = 30 * time.Second

	stallMedian      = time.Second     // of the events' longest stalls
	stallLimit       = 3 * time.Second // of any
	withdrawalMedian = 500 * time.Millisecond
)

// Run disturbs the lab for the given time, each event to its end, and prints a
// row per step. The seed decides which events come in which order. The error
// says what was worse than promised.
func Run(ctx context.Context, l *lab.Lab, out io.Writer, duration time.Duration, seed uint64) error {
	vip := l.Top.VIPs[1]
	s := soak.New(soak.Plan{
		Client:      topology.ClientName,
		Targets:     []netip.AddrPort{netip.AddrPortFrom(vip.Address, vip.Port), netip.AddrPortFrom(vip.Address6, vip.Port)},
		Connections: held, Idle: idle, Rate: rate, Patience: patience,
	})
	routes, err := l.WatchRoutes()
	if err != nil {
		return err
	}
	defer routes.Close()
	r := &run{ctx: ctx, lab: l, soak: s, routes: routes, random: rand.New(rand.NewPCG(seed, 0)), table: newTable(out), port: vip.Port}
	if err := r.all(duration); err != nil {
		s.Close()
		return err
	}
	verdict := s.Close()
	r.table.end(verdict)
	return r.judge(verdict)
}

// run is one chaos.
type run struct {
	ctx    context.Context
	lab    *lab.Lab
	soak   *soak.Soak
	routes *lab.RouteWatch
	random *rand.Rand
	table  *table
	port   uint16

	stalls      []time.Duration // longest of every step
	withdrawals []time.Duration // after sudden deaths
	failed      []error
}

// all opens the connections and plays events until the time is over. An event
// comes again only after all others.
func (r *run) all(duration time.Duration) error {
	for _, server := range r.lab.Top.Servers {
		if err := r.soak.Listen(server.Namespace, r.port); err != nil {
			return err
		}
	}
	if err := r.soak.Open(r.ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := r.step("nothing", func() error { return nil }); err != nil {
		return err
	}
	for {
		deck := slices.Clone(events)
		r.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, event := range deck {
			if time.Since(began) >= duration {
				return nil
			}
			if err := event(r); err != nil {
				return err
			}
		}
	}
}

// node chooses one.
func (r *run) node() topology.Node {
	return r.lab.Top.Nodes[r.random.IntN(len(r.lab.Top.Nodes))]
}

// server chooses one.
func (r *run) server() topology.Server {
	return r.lab.Top.Servers[r.random.IntN(len(r.lab.Top.Servers))]
}

// judge compares with what is promised.
func (r *run) judge(v *soak.Verdict) error {
	failed := r.failed
	if n := len(v.Lost); n > 0 {
		failed = append(failed, fmt.Errorf("%d connections were lost; the first: %w", n, v.Lost[0]))
	}
	if n := len(v.FreshFailed); n > 0 {
		failed = append(failed, fmt.Errorf("%d new connections failed; the first: %w", n, v.FreshFailed[0]))
	}
	if m := median(r.stalls); m > stallMedian {
		failed = append(failed, fmt.Errorf("the longest stall of an event is %v at the median, more than %v", m, stallMedian))
	}
	if m := slices.Max(r.stalls); m > stallLimit {
		failed = append(failed, fmt.Errorf("the longest stall is %v, more than %v", m, stallLimit))
	}
	if m := median(r.withdrawals); m > withdrawalMedian {
		failed = append(failed, fmt.Errorf("the router withdrew after %v at the median of %d, more than %v", m, len(r.withdrawals), withdrawalMedian))
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
