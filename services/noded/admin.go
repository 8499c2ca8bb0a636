package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/version"
)

// adminServer answers weirctl.
type adminServer struct {
	api.UnimplementedAdminServer
	node *node
}

// Status is this node's view of itself and its cluster.
func (a *adminServer) Status(ctx context.Context, _ *api.NodeStatusRequest) (*api.NodeStatus, error) {
	n := a.node
	c, desired, rejected := n.current()
	s := &api.NodeStatus{
		Id: n.file.Node, Cluster: c.Identity.Name, Version: version.Version,
		UptimeSeconds: time.Since(n.started).Seconds(), Generation: desired.GetGeneration(),
		Nodes: n.nodeViews(c), Servers: serverViews(c), Bgp: n.sessions(),
	}
	if rejected != nil {
		s.ConfigError = rejected.Error()
	}
	var err error
	if s.Dataplane, err = n.link.status(ctx); err != nil {
		s.DataplaneError = err.Error()
	} else if err := n.link.failure(); err != nil {
		s.DataplaneError = err.Error()
	}
	s.Alarms = alarms(c, s)
	return s, nil
}

// Trace asks this node's dataplane for a flow.
func (a *adminServer) Trace(ctx context.Context, r *api.TraceRequest) (*api.NodeTrace, error) {
	for _, s := range []string{r.Client, r.Vip} {
		if _, err := netip.ParseAddrPort(s); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "%q is not an address with a port", s)
		}
	}
	d, err := a.node.link.trace(ctx, r)
	if err != nil {
		return nil, err
	}
	c, _, _ := a.node.current()
	return &api.NodeTrace{Node: a.node.file.Node, Dataplane: d, Nodes: a.node.nodeViews(c), Servers: serverViews(c)}, nil
}

// current is what is in force.
func (n *node) current() (*config.Cluster, *api.DesiredState, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cluster, n.desired, n.rejected
}

func healthWord(ok bool) string {
	if ok {
		return api.HealthHealthy
	}
	return api.HealthUnhealthy
}

func (n *node) nodeViews(c *config.Cluster) []*api.NodeView {
	shares := n.shares.of(c, n.file.Node)
	var out []*api.NodeView
	for i := range c.Nodes {
		m := &c.Nodes[i]
		out = append(out, &api.NodeView{Id: m.ID, Number: uint32(m.Number), Health: healthWord(m.Healthy),
			North: m.North.String(), South: m.South.String(), RingShare: shares[m.Number]})
	}
	return out
}

func serverViews(c *config.Cluster) []*api.ServerView {
	var out []*api.ServerView
	for _, s := range c.Servers {
		out = append(out, &api.ServerView{Id: s.ID, Number: uint32(s.Number), Health: healthWord(s.Healthy), Address: s.Address.String(), Weight: uint32(s.Weight)})
	}
	return out
}

func (n *node) sessions() []*api.BgpSession {
	var out []*api.BgpSession
	for _, s := range n.bgp.Sessions() {
		out = append(out, &api.BgpSession{
			Node: n.file.Node, Advertises: s.Advertises, Slot: s.Slot, Peer: s.Peer.String(), Source: s.Source.String(), State: s.State,
			Reason: s.Reason, SinceSeconds: time.Since(s.Since).Seconds(), Losses: s.Losses, Prefixes: uint32(s.Prefixes),
		})
	}
	return out
}

// alarms are what an operator should look at, one line each.
func alarms(c *config.Cluster, s *api.NodeStatus) []string {
	out := append([]string(nil), c.Warnings...)
	if s.ConfigError != "" {
		out = append(out, "the changed cluster file is not in force: "+s.ConfigError)
	}
	if s.DataplaneError != "" {
		out = append(out, "dataplane: "+s.DataplaneError)
	}
	trackers := 0
	for i := range c.Nodes {
		if m := &c.Nodes[i]; m.Healthy && m.Has(config.RoleTracker) {
			trackers++
		}
	}
	if trackers < 2 {
		out = append(out, fmt.Sprintf("%d node tracks flows: connections are not replicated (S-5)", trackers))
	}
	for _, b := range s.Bgp {
		if b.State != "established" {
			out = append(out, fmt.Sprintf("bgp session %s to %s, which announces %s, is %s: %s", b.Source, b.Peer, b.Advertises, b.State, b.Reason))
		}
	}
	for _, n := range s.Dataplane.GetNeighbours() {
		if len(n.Mac) == 0 {
			out = append(out, fmt.Sprintf("next hop %s is not resolved on %s", n.Id, n.Port))
		}
	}
	return out
}
