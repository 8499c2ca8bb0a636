package main

import (
	"context"
	"net/netip"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/dataplane/flow"
	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/services/api"
)

// Trace tells what this node knows of a flow (S-111).
func (n *node) Trace(_ context.Context, r *api.TraceRequest) (*api.DataplaneTrace, error) {
	k, err := keyOf(r)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.desired == nil {
		return nil, status.Error(codes.FailedPrecondition, "the dataplane has no configuration yet; is noded running?")
	}
	out := &api.DataplaneTrace{Primary: lbnode.NoNode, Secondary: lbnode.NoNode, Endpoint: endpointOf(n.current, &k)}
	for i, w := range n.workers {
		var t lbnode.TraceResult
		n.engine.OnWorker(i, func() { t = w.Trace(&k) })
		out.Primary, out.Secondary = uint32(t.Primary), uint32(t.Secondary)
		if t.Ingress || t.Tracked || t.HalfOpen {
			out.Worker = uint32(i)
			addEntries(out, &t)
		}
	}
	return out, nil
}

func keyOf(r *api.TraceRequest) (flow.Key, error) {
	client, err := netip.ParseAddrPort(r.Client)
	if err != nil {
		return flow.Key{}, status.Errorf(codes.InvalidArgument, "client %q is not ADDRESS:PORT", r.Client)
	}
	vip, err := netip.ParseAddrPort(r.Vip)
	if err != nil {
		return flow.Key{}, status.Errorf(codes.InvalidArgument, "vip %q is not ADDRESS:PORT", r.Vip)
	}
	proto := r.Protocol
	if proto == 0 {
		proto = uint32(packet.ProtoTCP)
	}
	if proto > 255 {
		return flow.Key{}, status.Errorf(codes.InvalidArgument, "%d is not an IP protocol", proto)
	}
	return flow.MakeKey(client, vip, uint8(proto)), nil
}

func addEntries(out *api.DataplaneTrace, t *lbnode.TraceResult) {
	entry := func(state string) *api.TraceEntry {
		return &api.TraceEntry{State: state, Server: uint32(t.Server), ClientIsn: t.ClientISN, ServerIsn: t.ServerISN}
	}
	if t.Ingress {
		out.Ingress = entry("mapped")
	}
	switch {
	case t.Tracked && t.IsPrimary:
		out.Tracker = entry("established, primary")
	case t.Tracked:
		out.Tracker = entry("established, secondary")
	case t.HalfOpen:
		out.Tracker = &api.TraceEntry{State: "half-open"}
	}
}

// endpointOf is the name of the endpoint that serves a flow; empty if none does.
func endpointOf(c *lbnode.Config, k *flow.Key) string {
	vip := k.VIPAddr()
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		if e.Proto != k.Proto || vip.Port() < e.PortFirst || vip.Port() > e.PortLast {
			continue
		}
		for _, a := range e.Addresses {
			if a == vip.Addr() {
				return e.Name
			}
		}
	}
	return ""
}
