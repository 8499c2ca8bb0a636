package network

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"weir/services/config"
)

// Control brings up the control network on the kernel's interface of that name.
// With DHCP it waits so long for a lease, then goes on asking until ctx ends;
// tell is told what becomes of it.
func Control(ctx context.Context, name string, c config.ControlNIC, wait time.Duration, tell func(Lease, error)) error {
	link, err := up(name)
	if err != nil {
		return err
	}
	var prefixes []netip.Prefix
	for _, p := range c.Addresses {
		if err := address(link, p.Prefix); err != nil {
			return err
		}
		prefixes = append(prefixes, p.Prefix)
	}
	if c.Gateway.IsValid() && !c.DHCP {
		return defaultRoute(link, controlSide, c.Gateway, prefixes)
	}
	if !c.DHCP {
		return nil
	}
	asking, stop := context.WithTimeout(ctx, wait)
	defer stop()
	lease, err := ask(asking, name)
	if err == nil {
		err = useLease(name, lease, netip.Prefix{})
	}
	if err != nil {
		lease.Time = 2 * firstPause
	}
	go keep(ctx, name, lease, tell)
	if err != nil {
		return fmt.Errorf("control network: %w", err)
	}
	tell(lease, nil)
	return nil
}

// firstPause is how long keep waits when there was no lease in time.
const firstPause = 2 * time.Second
