package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/dataplane/engine"
	"weir/dataplane/lbnode"
	"weir/dataplane/neighbour"
	"weir/dataplane/packet"
	"weir/services/api"
)

// desired is the state that noded asked for.
type desired struct {
	config     *lbnode.Config // without what only the machine knows
	routers    []netip.Addr
	generation string
	announced  bool
}

// Apply takes over a desired state. A state with an error in it changes nothing.
func (n *node) Apply(_ context.Context, s *api.DesiredState) (*api.Applied, error) {
	c, routers, err := s.Config()
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	d := &desired{config: c, routers: routers, generation: s.Generation, announced: s.Announced}
	n.mu.Lock()
	if i := slices.IndexFunc(c.Nodes, func(o lbnode.Node) bool { return o.Number == c.Self }); i >= 0 && c.Nodes[i].Boot > maxStaticBoot && c.Nodes[i].Boot != n.boot {
		n.mu.Unlock()
		return nil, status.Error(codes.FailedPrecondition, "the state is for an earlier start of this dataplane")
	}
	old := n.desired
	n.desired = d
	n.mirror.SetTargets(targetsOf(d))
	if err := n.rebuild(); err != nil {
		n.desired = old
		if old != nil {
			n.mirror.SetTargets(targetsOf(old))
		}
		n.mu.Unlock()
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	n.mu.Unlock()
	if old == nil || old.generation != d.generation {
		n.log.Info("applied a desired state", "generation", d.generation, "nodes", len(c.Nodes), "servers", len(c.Servers), "endpoints", len(c.Endpoints))
	}
	return &api.Applied{BootId: n.boot, Generation: d.generation}, nil
}

// targetsOf are the next hops that a state needs: every other node and every
// server on the fabric, the routers north.
func targetsOf(d *desired) []neighbour.Target {
	var out []neighbour.Target
	for _, o := range d.config.Nodes {
		if o.Number != d.config.Self {
			out = append(out, neighbour.Target{Addr: o.South, Port: packet.South})
		}
	}
	for _, s := range d.config.Servers {
		out = append(out, neighbour.Target{Addr: s.Address, Port: packet.South})
	}
	for _, r := range d.routers {
		out = append(out, neighbour.Target{Addr: r, Port: packet.North})
	}
	return out
}

// neighboursChanged is the mirror's report that a MAC changed.
func (n *node) neighboursChanged() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.rebuild(); err != nil {
		n.log.Error("next hops changed, but the configuration cannot be rebuilt", "error", err)
	}
}

// watchMachine takes up what changes without anybody saying so: a step of the
// wall clock, addresses of the exception interfaces.
func (n *node) watchMachine(ctx context.Context) {
	tick := time.NewTicker(machineInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.mu.Lock()
		if n.machineChanged() {
			if err := n.rebuild(); err != nil {
				n.log.Error("this machine's clock or addresses changed, but the configuration cannot be rebuilt", "error", err)
			}
		}
		n.mu.Unlock()
	}
}

// maxStaticBoot is the highest boot id of a cluster without membership: there,
// a node's number is its boot id.
const maxStaticBoot = 0xffff

const machineInterval = 5 * time.Second

func (n *node) machineChanged() bool {
	if n.wallNanos() != n.current.WallNanos {
		return true
	}
	for side := range packet.NumPorts {
		own, err := n.addresses(side)
		if err != nil {
			return false // the interface is gone, which ends the program
		}
		for _, a := range own {
			if !slices.Contains(n.current.Addresses[side], a) {
				return true
			}
		}
	}
	return false
}

// rebuild makes a configuration from the desired state and what this machine
// knows, and hands it to all threads. The caller holds mu, or is alone.
func (n *node) rebuild() error {
	c := &lbnode.Config{}
	if n.desired != nil {
		clone := *n.desired.config
		clone.Nodes, clone.Servers, clone.Endpoints = slices.Clone(clone.Nodes), slices.Clone(clone.Servers), slices.Clone(clone.Endpoints)
		c = &clone
	}
	c.Boot, c.WallNanos, c.Vital = n.boot, n.wallNanos(), &n.vital.Vital
	for side := range packet.NumPorts {
		c.MACs[side] = lbnode.MAC(n.ports[side].MAC)
		own, err := n.addresses(side)
		if err != nil {
			return err
		}
		c.Addresses[side] = union(c.Addresses[side], own)
	}
	if n.desired != nil {
		n.fillMACs(c)
		if err := c.Prepare(); err != nil {
			return fmt.Errorf("desired state: %w", err)
		}
	}
	for i, w := range n.workers {
		n.engine.OnWorker(i, func() { w.SetConfig(c) })
	}
	n.engine.OnSlow(func() { n.slow.SetConfig(c) })
	n.engine.SetSteering(steering{lbnode.NewSteering(c, len(n.workers))})
	n.current = c
	return nil
}

// fillMACs adds the next hops that are resolved by now.
func (n *node) fillMACs(c *lbnode.Config) {
	south := func(a netip.Addr) lbnode.MAC {
		return lbnode.MAC(n.mirror.MAC(neighbour.Target{Addr: a, Port: packet.South}))
	}
	for i := range c.Nodes {
		c.Nodes[i].MAC = south(c.Nodes[i].South)
	}
	for i := range c.Servers {
		c.Servers[i].MAC = south(c.Servers[i].Address)
	}
	for _, r := range n.desired.routers {
		if mac := lbnode.MAC(n.mirror.MAC(neighbour.Target{Addr: r, Port: packet.North})); mac != (lbnode.MAC{}) {
			c.Routers = append(c.Routers, mac)
		}
	}
}

// wallNanos is the wall clock minus the engine's. It is kept while the two
// agree to a second, so that time stamps of the node do not jitter.
func (n *node) wallNanos() int64 {
	if now := time.Now().UnixNano() - engine.Now(); max(now-n.wall, n.wall-now) > int64(time.Second) {
		n.wall = now
	}
	return n.wall
}

func union(a, b []netip.Addr) []netip.Addr {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
