// Package check finds out why a node's network does not do what it should, from
// the cable upwards, and names the cause (S-103). What it needs of the network
// comes through Network, so that the order and the words are testable anywhere.
package check

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"weir/services/console/facts"
	"weir/services/identity"
)

// Network is what the checks try.
type Network interface {
	// Connect opens and closes a TCP connection; from may be invalid.
	Connect(ctx context.Context, from netip.Addr, to netip.AddrPort) error
	// Resolve has the kernel ask for the MAC address of a neighbour on an
	// interface, and waits for an answer.
	Resolve(ctx context.Context, iface string, addr netip.Addr) error
	// Ping sends one ICMP echo request in an IP packet of size bytes, which
	// must not be fragmented.
	Ping(ctx context.Context, to netip.Addr, size int) error
	// Authenticate opens a TLS connection to the configuration service.
	Authenticate(ctx context.Context, me identity.Files, to netip.AddrPort) error
	// ClockOffset asks an NTP server how far the clock is off.
	ClockOffset(ctx context.Context, server netip.Addr) (time.Duration, error)
	// MTU of an interface, bytes.
	MTU(iface string) (int, error)
	// Gateways are the next hops of default routes through an interface.
	Gateways(iface string) ([]netip.Addr, error)
}

// Outcome of a check.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "FAILED"
	Skipped Outcome = "-" // nothing to check, or a check above named the cause
)

// Result of one check.
type Result struct {
	Name    string
	Outcome Outcome
	Text    string
	Remedy  string
}

// String is the result in one line.
func (r Result) String() string {
	s := fmt.Sprintf("%-7s %s: %s", r.Outcome, r.Name, r.Text)
	if r.Remedy != "" {
		s += "; " + r.Remedy
	}
	return s
}

// Timeout bounds one try.
const Timeout = 3 * time.Second

// run is one run of all checks.
type run struct {
	f    *facts.Facts
	net  Network
	tell func(Result)
	down map[string]string   // side: why nothing can work there
	mute map[netip.Addr]bool // routers of which a check above named what is wrong
}

// Run checks everything and tells each result as soon as it is known.
func Run(ctx context.Context, f *facts.Facts, n Network, tell func(Result)) {
	r := &run{f: f, net: n, tell: tell, down: map[string]string{}, mute: map[netip.Addr]bool{}}
	for _, step := range []func(context.Context){r.nics, r.programs, r.links, r.routers, r.sessions, r.nodes, r.mtu, r.control, r.service, r.clock} {
		if ctx.Err() != nil {
			return
		}
		step(ctx)
	}
}

func (r *run) ok(name, format string, args ...any) {
	r.tell(Result{name, OK, fmt.Sprintf(format, args...), ""})
}

func (r *run) skip(name, format string, args ...any) {
	r.tell(Result{name, Skipped, fmt.Sprintf(format, args...), ""})
}

func (r *run) fail(name, remedy, format string, args ...any) {
	r.tell(Result{name, Failed, fmt.Sprintf(format, args...), remedy})
}

// broken notes why a side cannot work; the first cause counts.
func (r *run) broken(side, why string) {
	if r.down[side] == "" {
		r.down[side] = why
	}
}

// each does something for every element at once, and tells the results in order.
func each[T any](r *run, list []T, do func(T) Result) {
	out := make([]Result, len(list))
	var wg sync.WaitGroup
	for i, v := range list {
		wg.Go(func() { out[i] = do(v) })
	}
	wg.Wait()
	for _, v := range out {
		r.tell(v)
	}
}

func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, Timeout)
}
