package network

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"weir/init/cmdline"
	"weir/init/nic"
)

// Early is a network that is there only to fetch the configuration.
type Early struct {
	names []string
	stop  context.CancelFunc
	wait  sync.WaitGroup

	mu   sync.Mutex
	errs []string // guarded by mu
}

// StartEarly brings up what the boot command line says, or asks for DHCP on
// every NIC at once, until Stop. The first answer is sent to ready.
func StartEarly(ctx context.Context, want cmdline.Network, nics []nic.NIC) (e *Early, ready <-chan struct{}, err error) {
	ctx, stop := context.WithCancel(ctx)
	e = &Early{stop: stop}
	for _, n := range nics {
		if n.Interface == "" || want.Device != "" && want.Device != n.Interface || want.MAC != "" && want.MAC != n.MAC {
			continue
		}
		e.names = append(e.names, n.Interface)
	}
	if len(e.names) == 0 {
		stop()
		return e, nil, fmt.Errorf("no NIC to fetch the configuration with: %s", describe(want, nics))
	}
	answered := make(chan struct{}, len(e.names))
	if want.Address.IsValid() {
		if len(e.names) > 1 {
			stop()
			return e, nil, fmt.Errorf("ip= on the boot command line does not say which of %s is meant: add BOOTIF=01-MAC", strings.Join(e.names, ", "))
		}
		answered <- struct{}{}
		return e, answered, static(e.names[0], want)
	}
	for _, name := range e.names {
		if _, err := up(name); err != nil {
			e.failed(err)
			continue
		}
		e.wait.Go(func() {
			lease, err := ask(ctx, name)
			if err == nil {
				err = useLease(name, lease, netip.Prefix{})
			}
			if err != nil {
				e.failed(err)
				return
			}
			answered <- struct{}{}
		})
	}
	return e, answered, nil
}

func static(name string, want cmdline.Network) error {
	link, err := up(name)
	if err != nil {
		return err
	}
	if err := address(link, want.Address); err != nil {
		return err
	}
	if want.Gateway.IsValid() {
		if err := defaultRoute(link, controlSide, want.Gateway, []netip.Prefix{want.Address}); err != nil {
			return err
		}
	}
	return useDNS(want.DNS)
}

func describe(want cmdline.Network, nics []nic.NIC) string {
	if want.Device != "" || want.MAC != "" {
		return fmt.Sprintf("none is %s%s", want.Device, want.MAC)
	}
	return fmt.Sprintf("the kernel drives none of the machine's %d", len(nics))
}

func (e *Early) failed(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.errs = append(e.errs, err.Error())
}

// Errors says why NICs got no address.
func (e *Early) Errors() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.errs, "; ")
}

// Stop ends it and takes all addresses back: from here on the configuration
// says what the network is.
func (e *Early) Stop() {
	e.stop()
	e.wait.Wait()
	for _, name := range e.names {
		forget(name)
	}
}
