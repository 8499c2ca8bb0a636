package check

import (
	"context"
	"fmt"
	"net/netip"

	"weir/services/api"
)

// smallPing is the size of an IP packet that any network carries.
const smallPing = 84

// nodes looks at the other nodes: what membership knows, and for those that it
// misses, whether the machine answers on the fabric.
func (r *run) nodes(ctx context.Context) {
	n := r.f.Node
	if n == nil {
		r.skip("other nodes", "not known: %v", r.f.NodeErr)
		return
	}
	var others []*api.NodeView
	for _, v := range n.Nodes {
		if v.Id != n.Id {
			others = append(others, v)
		}
	}
	if len(others) == 0 {
		r.skip("other nodes", "there are none: connections are not replicated")
	}
	each(r, others, func(v *api.NodeView) Result {
		name := "node " + v.Id
		if v.Health == api.HealthHealthy {
			text := "healthy"
			if v.RttNorthMs > 0 || v.RttSouthMs > 0 {
				text += fmt.Sprintf("; ping by north %.2f ms, by south %.2f ms", v.RttNorthMs, v.RttSouthMs)
			}
			return Result{name, OK, text, ""}
		}
		if why := r.down["south"]; why != "" {
			return Result{name, Failed, v.Health + ": " + why, ""}
		}
		south, err := netip.ParseAddr(v.South)
		if err != nil {
			return Result{name, Failed, fmt.Sprintf("%s; its south address %q is none", v.Health, v.South), ""}
		}
		if err := r.ping(ctx, south, smallPing); err != nil {
			return Result{name, Failed, fmt.Sprintf("%s; %s does not answer on the fabric: %v", v.Health, south, err), "is that node up? if others see it, look at the switch between"}
		}
		return Result{name, Failed, fmt.Sprintf("%s, but %s answers on the fabric", v.Health, south), "its checks by north fail, or it is not in service: look at its console"}
	})
}

// mtu sends a packet as large as the fabric should carry to one healthy node.
func (r *run) mtu(ctx context.Context) {
	const name = "fabric MTU"
	iface := r.iface("south")
	if why := r.down["south"]; why != "" || iface == "" {
		r.skip(name, "not tried: %s", first(why, "the south interface is not known"))
		return
	}
	size, err := r.net.MTU(iface)
	if err != nil {
		r.fail(name, "", "%v", err)
		return
	}
	for _, v := range r.f.Node.GetNodes() {
		south, err := netip.ParseAddr(v.South)
		if err != nil || v.Id == r.f.Node.Id || v.Health != api.HealthHealthy {
			continue
		}
		if err := r.ping(ctx, south, size); err == nil {
			r.ok(name, "packets of %d bytes reach %s whole", size, v.Id)
		} else if small := r.ping(ctx, south, smallPing); small != nil {
			r.skip(name, "%s does not answer ping: %v", v.Id, small)
		} else {
			r.fail(name, "raise the MTU of the fabric's switches, or lower fabric_mtu in the cluster file", "small packets reach %s, packets of %d bytes do not: %v", v.Id, size, err)
		}
		return
	}
	r.skip(name, "not tried: no other healthy node is known")
}

func (r *run) ping(ctx context.Context, to netip.Addr, size int) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	return r.net.Ping(ctx, to, size)
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
