package health

import (
	"net/netip"
	"slices"
	"time"

	"weir/dataplane/wire"
	"weir/services/config"
	"weir/services/noded/membership"
)

// newTarget is how a server is checked: its module, and the endpoints that it
// serves and that want a check.
func newTarget(c *config.Cluster, s *config.Server) *target {
	t := &target{number: s.Number, address: s.Address}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		if e.Check.Type != "" && e.Serves(s.ID) {
			t.checks = append(t.checks, endpointCheck{e.Name, e.Check})
		}
	}
	return t
}

// CheckServer begins a check; its result comes back to the thread.
func (l *Loop) CheckServer(server uint16) {
	t := l.servers[server]
	if t == nil {
		return
	}
	ctx, timeout := l.ctx, l.cluster.Health.ServerTimeout
	go func() {
		v := probe(ctx, l.client, t, timeout)
		l.inbox.post(func() { l.judged(v) })
	}()
}

// judged takes the result of a check. A server that drains gets no offers, and
// is well.
func (l *Loop) judged(v Verdict) {
	if l.servers[v.Server] == nil {
		return
	}
	if was, ok := l.checks[v.Server]; !v.OK && (!ok || was.OK) {
		l.log.Warn("check of a server failed", "server", v.Server, "reason", v.Why, "machine answers", v.Alive)
	}
	l.checks[v.Server] = v
	l.core.ServerResult(clock(), v.Server, v.OK && !v.Draining, v.Alive, 0)
}

// PushNodes sends the list of nodes to a server's module, soon: the view that
// it is made of is complete only after the tick.
func (l *Loop) PushNodes(server uint16) {
	if t := l.servers[server]; t != nil {
		l.push.Want(server, t.address)
	}
}

// pushLists sends the lists that are due.
func (l *Loop) pushLists(now time.Duration) {
	v := l.core.View()
	if !v.Learned || v.Isolated {
		return
	}
	l.push.Set(List(l.cluster, &v))
	for _, s := range v.Servers {
		if !s.Mine {
			l.push.Forget(s.Number)
			delete(l.checks, s.Number)
		}
	}
	l.push.Due(now, func(d []byte, to netip.AddrPort) { send(l.sockets.south, d, to) })
}

// List is what modules are told of the nodes.
func List(c *config.Cluster, v *membership.View) []wire.ListedNode {
	var out []wire.ListedNode
	for _, n := range v.Nodes {
		i := slices.IndexFunc(c.Nodes, func(m config.Member) bool { return m.Number == n.Number })
		if i < 0 {
			continue
		}
		m := &c.Nodes[i]
		e := wire.ListedNode{Number: n.Number, Boot: n.Boot}
		for _, f := range []struct {
			bit uint8
			set bool
		}{
			{wire.ListedHealthy, n.State == membership.StateHealthy && m.Healthy},
			{wire.ListedIngress, n.Announce && m.Healthy && m.Has(config.RoleIngress)},
			{wire.ListedTracker, n.Track && m.Healthy && m.Has(config.RoleTracker)},
			{wire.ListedEgress, n.Egress && m.Healthy && m.Has(config.RoleEgress)},
		} {
			if f.set {
				e.Flags |= f.bit
			}
		}
		out = append(out, e)
	}
	return out
}

// listed takes an acknowledgement of a list.
func (l *Loop) listed(d []byte, h *wire.Header, from netip.AddrPort) {
	var a wire.NodeListAck
	t := l.servers[h.Sender]
	switch {
	case wire.GetNodeListAck(d, h, &a) != nil:
		l.count.Malformed++
		return
	case t == nil || h.Role != wire.RoleServer || from.Addr() != t.address:
		l.count.Stranger++
		return
	}
	if !l.push.Answer(&a) {
		l.count.Stale++
		return
	}
	l.core.ServerLife(clock(), h.Sender, h.Boot)
}
