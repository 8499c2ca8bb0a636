package main

import (
	"context"
	"net/netip"
	"time"

	"weir/services/api"
	"weir/services/config"
	"weir/services/noded/bgp"
	"weir/services/noded/membership"
)

// seen takes a view of membership. It is called from membership's thread and
// does not wait.
func (n *node) seen(v membership.View) {
	n.mu.Lock()
	n.view = v
	n.mu.Unlock()
	select {
	case n.changed <- struct{}{}:
	default: // the flag is already up
	}
}

// follow acts on every view, until ctx ends.
func (n *node) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.changed:
		}
		if err := n.act(); err != nil {
			n.log.Error("act on a change of membership", "error", err)
		}
	}
}

// act brings dataplane and BGP sessions in line with the cluster file and the view.
func (n *node) act() error {
	n.acting.Lock()
	defer n.acting.Unlock()
	n.mu.Lock()
	conf, view, resumed := n.config, n.view, n.resumed
	n.mu.Unlock()
	c := conf.Cluster
	v := view.ForConfig()
	self := v.Nodes[c.Member(n.file.Node).Number]
	if self.Boot == 0 {
		n.settle(conf) // no dataplane yet: there is nobody else who must have it
		return nil
	}
	if !view.Learned && resumed == self.Boot {
		return nil // it goes on as it was until the others are known
	}
	lb, err := config.LBNode(c, n.file.Node, v)
	if err != nil {
		return err
	}
	var routers []netip.Addr
	for _, r := range c.Routers {
		routers = append(routers, r.Address)
	}
	desired := api.NewDesiredState(&lb, routers, self.Announce)
	speaks := view.Speaks(c.Member(n.file.Node).Number)
	n.mu.Lock()
	same := n.desired != nil && n.desired.Generation == desired.Generation
	n.desired, n.desiredOf = desired, conf
	n.mu.Unlock()
	// The dataplane first: it must know an address before routers send packets for it.
	if !same {
		n.link.want(desired)
	} else if n.link.failure() == nil {
		n.settle(conf)
	}
	n.bgp.Apply(bgp.Plan(c, v, n.file.Node, speaks))
	n.front.milestones.reach(false, speaks, isAnnounced(c, &view, n.file.Node))
	switch {
	case !speaks:
		n.speaks.Store(nil)
	case n.speaks.Load() == nil:
		since := time.Now()
		n.speaks.Store(&since)
	}
	return nil
}

// sessionPatience is how long a node that joins waits for its sessions. A router
// that is away must not keep it out for ever: the others serve.
const sessionPatience = 10 * time.Second

// announcing reports whether the sessions for this node's neighbours are
// established, as a node that speaks, or as far as they will be.
func (n *node) announcing() bool {
	since := n.speaks.Load()
	return since != nil && (n.bgp.Announcing() || time.Since(*since) > sessionPatience)
}
