package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// AddNode wires one more LB node, puts it into the cluster and starts its
// programs. It returns before the node has joined.
func (l *Lab) AddNode(ctx context.Context) (topology.Node, error) {
	next, err := topology.New(len(l.Top.Nodes)+1, len(l.Top.Servers))
	if err != nil {
		return topology.Node{}, err
	}
	n := next.Nodes[len(next.Nodes)-1]
	l.Top.Nodes = next.Nodes
	if err := l.raiseHugepages(); err != nil {
		return n, err
	}
	if err := l.kind.wire(n); err != nil {
		return n, err
	}
	if err := l.kind.prepare(n); err != nil {
		return n, err
	}
	if err := l.apply(ctx); err != nil {
		return n, err
	}
	return n, l.Restart(n.ID)
}

// RemoveNode ends the last node's programs and removes the node from cluster
// and lab. Drain it first, or it counts as dead.
func (l *Lab) RemoveNode(ctx context.Context) error {
	last := len(l.Top.Nodes) - 1
	n := l.Top.Nodes[last]
	l.Top.Nodes = l.Top.Nodes[:last]
	return errors.Join(l.apply(ctx), endPrograms(l.machineDir(n.ID)), l.kind.unwire(n), l.writeJSON())
}

// AddServer wires one more server, puts it into the cluster and starts nginx
// and the module. It returns when nginx answers, before the server has offers.
func (l *Lab) AddServer(ctx context.Context) (topology.Server, error) {
	next, err := topology.New(len(l.Top.Nodes), len(l.Top.Servers)+1)
	if err != nil {
		return topology.Server{}, err
	}
	s := next.Servers[len(next.Servers)-1]
	l.Top.Servers = next.Servers
	if err := wireServer(s); err != nil {
		return s, err
	}
	if err := l.prepareServer(s); err != nil {
		return s, err
	}
	nginx, err := l.startServer(s)
	if err != nil {
		return s, err
	}
	for {
		if _, err := Fetch(s.Namespace, netip.AddrPortFrom(s.Address.Addr(), 80), "/", time.Second); err == nil {
			break
		}
		if err := nginx.alive(); err != nil {
			return s, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := l.apply(ctx); err != nil {
		return s, err
	}
	return s, l.Restart(s.ID)
}

// RemoveServer removes the last server, and with it its connections.
func (l *Lab) RemoveServer(ctx context.Context) error {
	last := len(l.Top.Servers) - 1
	s := l.Top.Servers[last]
	l.Top.Servers = l.Top.Servers[:last]
	if err := errors.Join(l.apply(ctx), endPrograms(l.machineDir(s.ID)), netns.DeleteLink(topology.FabricName, s.ID), netns.Delete(s.Namespace), l.writeJSON()); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(PinsDir, s.ID)); err != nil {
		return fmt.Errorf("remove pinned maps of %s: %w", s.ID, err)
	}
	return cgroupOf(s).remove()
}
