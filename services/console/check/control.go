package check

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"weir/services/identity"
)

// control looks for the gateways of the control network.
func (r *run) control(ctx context.Context) {
	n := r.nic("control")
	if n == nil {
		r.skip("control network", "this node has none")
		return
	}
	l := r.f.Link(n.Mac)
	if why := r.down["control"]; why != "" || l == nil {
		r.fail("control network", "", "%s", first(why, "its interface is not there"))
		return
	}
	gateways, err := r.net.Gateways(l.Name)
	if err != nil {
		r.fail("control gateway", "", "%v", err)
		return
	}
	if len(gateways) == 0 {
		r.skip("control gateway", "none: only the control network itself is reached")
	}
	each(r, gateways, func(g netip.Addr) Result {
		name := "control gateway " + g.String()
		ctx, cancel := limited(ctx)
		defer cancel()
		if err := r.net.Resolve(ctx, l.Name, g); err != nil {
			return Result{name, Failed, "does not answer ARP: " + err.Error(), "is it up, and in this network?"}
		}
		return Result{name, OK, "answers ARP", ""}
	})
}

// service calls every front-end of the configuration service, first with TCP
// and then with our certificate.
func (r *run) service(ctx context.Context) {
	const name = "configuration service"
	f := r.f.File
	if f == nil || !f.Service.InUse() {
		r.skip(name, "the cluster's configuration is not from one")
		return
	}
	me := identity.Files{CA: f.Service.CA, Cert: f.Service.Cert, Key: f.Service.Key}
	each(r, f.Service.Addresses, func(at netip.AddrPort) Result {
		name := name + " " + at.String()
		ctx, cancel := limited(ctx)
		defer cancel()
		switch err := r.net.Connect(ctx, netip.Addr{}, at); {
		case errors.Is(err, syscall.ECONNREFUSED):
			return Result{name, Failed, "refuses: nothing listens there", "is configd running, on this port?"}
		case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
			return Result{name, Failed, "there is no way to it: " + err.Error(), "check the control network and its gateway above"}
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
			return Result{name, Failed, "no answer", "is the machine up, and no filter in between?"}
		case err != nil:
			return Result{name, Failed, err.Error(), ""}
		}
		if err := r.net.Authenticate(ctx, me, at); err != nil {
			return Result{name, Failed, "TCP connects, TLS does not: " + err.Error(), "compare certificates, authority and the clock of both sides"}
		}
		return Result{name, OK, "TCP and TLS connect", ""}
	})
}

// clockOff is how far the clock may be off, for certificates and logs to make sense.
const clockOff = time.Second

// clock asks the NTP servers.
func (r *run) clock(ctx context.Context) {
	m := r.machine()
	if m == nil || len(m.NTP) == 0 {
		r.skip("NTP", "no server is configured")
		return
	}
	each(r, m.NTP, func(server netip.Addr) Result {
		name := "NTP " + server.String()
		ctx, cancel := limited(ctx)
		defer cancel()
		off, err := r.net.ClockOffset(ctx, server)
		switch {
		case err != nil:
			return Result{name, Failed, "does not answer: " + err.Error(), "is it reached from the control network?"}
		case off.Abs() > clockOff:
			return Result{name, Failed, "the clock is off by " + off.Round(time.Millisecond).String(), "it is set at boot: reboot, or see the phase clock"}
		}
		return Result{name, OK, "the clock is off by " + off.Round(10*time.Microsecond).String(), ""}
	})
}
