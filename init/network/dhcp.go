package network

import (
	"context"
	"fmt"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
)

// ask gets a lease. It sends again until ctx ends, as links come up slowly.
func ask(ctx context.Context, name string) (Lease, error) {
	client, err := nclient4.New(name, nclient4.WithTimeout(time.Second), nclient4.WithRetry(3))
	if err != nil {
		return Lease{}, fmt.Errorf("DHCP on %s: %w", name, err)
	}
	defer client.Close()
	last := errNoAnswer
	for ctx.Err() == nil {
		l, err := client.Request(ctx)
		if err == nil {
			lease, err := checkLease(l.ACK)
			if err == nil {
				return lease, nil
			}
			last = err
		}
		select { // a server that refuses is not asked in a tight loop
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return Lease{}, fmt.Errorf("%s: %w", name, last)
}

// keep holds the lease of an interface until ctx ends: it asks again at half of
// its time (T1 of RFC 2131, 4.4.5). While no server answers the address stays:
// it is the operators' way to a node, and worth more than tidiness.
func keep(ctx context.Context, name string, l Lease, tell func(Lease, error)) {
	pause := l.Time / 2
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		asking, stop := context.WithTimeout(ctx, 30*time.Second)
		next, err := ask(asking, name)
		stop()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = useLease(name, next, l.Address)
		}
		if err != nil {
			pause = max(pause/2, minimumTime)
		} else {
			l, pause = next, next.Time/2
		}
		tell(l, err)
	}
}
