package main

import (
	"context"
	"net/netip"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/noded/health"
)

// trace asks the dataplane for a flow.
func (n *node) trace(ctx context.Context, r *api.TraceRequest) (*api.NodeTrace, error) {
	for _, s := range []string{r.Client, r.Vip} {
		if _, err := netip.ParseAddrPort(s); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "%q is not an address with a port", s)
		}
	}
	d, err := n.link.trace(ctx, r)
	if err != nil {
		return nil, err
	}
	c, _, _ := n.current()
	return &api.NodeTrace{Node: n.file.Node, Dataplane: d, Nodes: n.nodeViews(c, &health.Stats{}), Servers: n.serverViews(c, &health.Stats{})}, nil
}

// current is what is in force.
func (n *node) current() (*config.Cluster, *api.DesiredState, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cluster, n.desired, n.source.Failure()
}

func (n *node) sessions() []*api.BgpSession {
	var out []*api.BgpSession
	for _, s := range n.bgp.Sessions() {
		out = append(out, &api.BgpSession{
			Node: n.file.Node, Advertises: s.Advertises, Slot: s.Slot, Peer: s.Peer.String(), Port: uint32(s.Port), Source: s.Source.String(), State: s.State,
			Reason: s.Reason, SinceSeconds: time.Since(s.Since).Seconds(), Losses: s.Losses, Prefixes: uint32(s.Prefixes),
		})
	}
	return out
}
