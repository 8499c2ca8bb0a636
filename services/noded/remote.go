package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
)

// adminPort is where the admin API is, for who shows an operator's certificate (contract).
const adminPort = 6090

// remoteEvery is how often noded looks for addresses that came or went.
const remoteEvery = time.Second

// remote is the admin API for operators elsewhere: on the fabric, and on the
// control network if there is one, whose address may come late or change (DHCP).
// A node without a certificate has none.
type remote struct {
	log   *slog.Logger
	front *front
	links links

	mu        sync.Mutex
	err       error // why an address is not served
	listeners map[netip.Addr]net.Listener
}

func newRemote(log *slog.Logger, f *front) *remote {
	return &remote{log: log, front: f, links: links{"/sys"}, listeners: map[netip.Addr]net.Listener{}}
}

// failure is why operators cannot reach this node; nil: they can.
func (r *remote) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// run serves until ctx ends.
func (r *remote) run(ctx context.Context) {
	s := &r.front.file.Service
	if s.Cert == "" {
		return
	}
	var server *grpc.Server
	tick := time.NewTicker(remoteEvery)
	defer tick.Stop()
	for {
		if server == nil {
			me, err := identity.Load(identity.Files{CA: s.CA, Cert: s.Cert, Key: s.Key})
			r.note(err)
			if err == nil {
				server = grpc.NewServer(grpc.Creds(credentials.NewTLS(me.Server(identity.Operator, identity.Configd))))
				api.RegisterAdminServer(server, r.front)
				api.RegisterUpdateServer(server, r.front.updates)
				defer server.Stop() // closes the listeners
			}
		}
		if server != nil {
			wanted, err := r.addresses()
			r.note(errors.Join(err, r.follow(server, wanted)))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *remote) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && (r.err == nil || r.err.Error() != err.Error()) {
		r.log.Warn("operators elsewhere cannot reach this node", "error", err)
	}
	r.err = err
}

// follow serves on these addresses and no other.
func (r *remote) follow(server *grpc.Server, wanted []netip.Addr) error {
	var errs []error
	for _, a := range wanted {
		if r.listeners[a] != nil {
			continue
		}
		at := netip.AddrPortFrom(a, adminPort)
		l, err := net.Listen("tcp", at.String())
		switch {
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			errs = append(errs, fmt.Errorf("%s is not on this machine (yet)", a))
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("listen for operators on %s: %w", at, err))
			continue
		}
		r.log.Info("operators are served", "address", at)
		r.listeners[a] = l
		go server.Serve(l) // until it is closed
	}
	for _, a := range slices.Collect(maps.Keys(r.listeners)) {
		if !slices.Contains(wanted, a) {
			r.listeners[a].Close()
			delete(r.listeners, a)
		}
	}
	return errors.Join(errs...)
}

// addresses are where operators may call, as far as they are known. What is
// configured is told also when it is not on the machine.
func (r *remote) addresses() ([]netip.Addr, error) {
	var out []netip.Addr
	add := func(list ...netip.Addr) {
		for _, a := range list {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	if n := r.front.node.Load(); n != nil {
		c, _, _ := n.current()
		add(c.Member(r.front.file.Node).South)
	}
	m := r.front.file.Machine
	if m == nil {
		return out, nil
	}
	add(hosts(m.South.Addresses)...)
	if !m.Control.InUse() {
		return out, nil
	}
	add(hosts(m.Control.Addresses)...)
	if !m.Control.DHCP {
		return out, nil
	}
	found, err := r.links.addresses(m.Control.Device)
	add(found...)
	return out, err
}

func hosts(list []config.Prefix) (out []netip.Addr) {
	for _, p := range list {
		out = append(out, p.Addr())
	}
	return out
}
