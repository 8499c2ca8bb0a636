package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// RouteWatch records how the router's kernel routes to the public addresses
// change, as the kernel announces it.
type RouteWatch struct {
	vips []netip.Addr
	h    *netlink.Handle
	done chan struct{}

	mu      sync.Mutex
	news    chan struct{} // closed at the next change
	changes []routeChange
	failed  error
}

// routeChange is the set of next hops of one public address since a time.
type routeChange struct {
	at   time.Time
	vip  netip.Addr
	hops []netip.Addr
}

// WatchRoutes begins to watch. Close ends it.
func (l *Lab) WatchRoutes() (*RouteWatch, error) {
	ns, err := vns.GetFromPath(netns.Path(topology.RouterName))
	if err != nil {
		return nil, fmt.Errorf("watch the router's routes: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, fmt.Errorf("watch the router's routes: %w", err)
	}
	w := &RouteWatch{h: h, done: make(chan struct{}), news: make(chan struct{})}
	for _, v := range l.Top.VIPs {
		for _, a := range []netip.Addr{v.Address, v.Address6} {
			if !slices.Contains(w.vips, a) {
				w.vips = append(w.vips, a)
			}
		}
	}
	updates := make(chan netlink.RouteUpdate, 1024)
	err = netlink.RouteSubscribeWithOptions(updates, w.done, netlink.RouteSubscribeOptions{
		Namespace: &ns,
		ErrorCallback: func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failed = err
		},
	})
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("watch the router's routes: %w", err)
	}
	w.look(time.Now())
	go func() {
		defer h.Close()
		for {
			select {
			case <-w.done:
				return
			case _, open := <-updates:
				if !open {
					return
				}
				w.look(time.Now())
			}
		}
	}()
	return w, nil
}

// Close ends the watch.
func (w *RouteWatch) Close() { close(w.done) }

// look notes the routes as they are now. An announcement only says when: the
// several messages of one replaced route are not worth telling apart.
func (w *RouteWatch) look(now time.Time) {
	for _, vip := range w.vips {
		family := netlink.FAMILY_V4
		if vip.Is6() {
			family = netlink.FAMILY_V6
		}
		routes, err := w.h.RouteListFiltered(family, &netlink.Route{Dst: netns.IPNet(netip.PrefixFrom(vip, vip.BitLen()))}, netlink.RT_FILTER_DST)
		w.mu.Lock()
		if err != nil {
			w.failed = err
			w.mu.Unlock()
			return
		}
		hops := gateways(routes)
		if last := w.last(vip); last == nil || !slices.Equal(last.hops, hops) {
			w.changes = append(w.changes, routeChange{at: now, vip: vip, hops: hops})
			close(w.news)
			w.news = make(chan struct{})
		}
		w.mu.Unlock()
	}
}

func gateways(routes []netlink.Route) []netip.Addr {
	var hops []netip.Addr
	for _, r := range routes {
		if gw, ok := netip.AddrFromSlice(r.Gw); ok {
			hops = append(hops, gw.Unmap())
		}
		for _, m := range r.MultiPath {
			if gw, ok := netip.AddrFromSlice(m.Gw); ok {
				hops = append(hops, gw.Unmap())
			}
		}
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return hops
}

func (w *RouteWatch) last(vip netip.Addr) *routeChange {
	for i := len(w.changes) - 1; i >= 0; i-- {
		if w.changes[i].vip == vip {
			return &w.changes[i]
		}
	}
	return nil
}

// Withdrawn waits until no route leads to a node any more and returns when
// that was. It may have been before the call.
func (w *RouteWatch) Withdrawn(ctx context.Context, n topology.Node) (time.Time, error) {
	return w.wait(ctx, n, false)
}

// Announced waits until the routes of all public addresses lead to a node too.
func (w *RouteWatch) Announced(ctx context.Context, n topology.Node) (time.Time, error) {
	return w.wait(ctx, n, true)
}

func (w *RouteWatch) wait(ctx context.Context, n topology.Node, present bool) (time.Time, error) {
	for {
		at, ok, news, err := w.since(n, present)
		if ok || err != nil {
			return at, err
		}
		select {
		case <-ctx.Done():
			return at, fmt.Errorf("the router's routes to %s: %w", n.ID, context.Cause(ctx))
		case <-news:
		}
	}
}

// since tells whether all routes have (or none has) the node, and since when.
func (w *RouteWatch) since(n topology.Node, present bool) (at time.Time, ok bool, news <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed != nil {
		return at, false, nil, errors.Join(errors.New("watching the router's routes failed"), w.failed)
	}
	for _, vip := range w.vips {
		var since time.Time
		has := !present
		for _, c := range w.changes {
			if c.vip != vip {
				continue
			}
			now := slices.Contains(c.hops, n.North.Addr()) || slices.Contains(c.hops, n.North6.Addr())
			if now != has {
				since = c.at
			}
			has = now
		}
		if has != present {
			return at, false, w.news, nil
		}
		if since.After(at) {
			at = since
		}
	}
	return at, true, w.news, nil
}
