package chaos

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// events is everything that may happen. Each leaves the cluster as it was.
var events = []func(*run) error{
	killNode, killBackAgain, freezeDataplane, unplugNorth, unplugSouth, partition, restartNode, killControlPlane,
	restartAll, drainNode, addNode, killModule, drainServer, addServer, killWhileServersChange, killWhileNodeJoins,
}

// programs of ours.
const (
	dataplane = "dataplane"
	noded     = "noded"
)

func killNode(r *run) error {
	n := r.node()
	return r.goneAndBack(n, "kill -9 "+n.ID, func() error { return r.lab.Kill(n.ID) }, n.ID+" returns", func() error { return r.lab.Restart(n.ID) })
}

// goneAndBack takes a node away and brings it back.
func (r *run) goneAndBack(n topology.Node, how string, away func() error, howBack string, back func() error) error {
	if err := r.Step(how, away, r.Withdrawn(n), r.Whole(n.ID)); err != nil {
		return err
	}
	return r.Step(howBack, back, r.Whole())
}

// killBackAgain kills another node 3 s after the first returned.
func killBackAgain(r *run) error {
	const pause = 3 * time.Second
	a, b := r.node(), r.node()
	for a.ID == b.ID {
		b = r.node()
	}
	if err := r.Step("kill -9 "+a.ID, func() error { return r.lab.Kill(a.ID) }, r.Withdrawn(a), r.Whole(a.ID)); err != nil {
		return err
	}
	if err := r.lab.Restart(a.ID); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.ctx, settles)
	defer cancel()
	if _, err := r.Whole().wait(ctx); err != nil {
		r.failed = append(r.failed, fmt.Errorf("%s returns: %w", a.ID, err))
	}
	<-time.After(pause)
	return r.goneAndBack(b, fmt.Sprintf("kill -9 %s, 3 s after %s was back", b.ID, a.ID), func() error { return r.lab.Kill(b.ID) },
		b.ID+" returns", func() error { return r.lab.Restart(b.ID) })
}

func freezeDataplane(r *run) error {
	n := r.node()
	return r.goneAndBack(n, "SIGSTOP of the dataplane of "+n.ID, func() error { return r.lab.Signal(n.ID, dataplane, syscall.SIGSTOP) },
		"SIGCONT of the dataplane of "+n.ID, func() error { return r.lab.Signal(n.ID, dataplane, syscall.SIGCONT) })
}

func unplugNorth(r *run) error { return r.unplug(lab.North) }
func unplugSouth(r *run) error { return r.unplug(lab.South) }

func (r *run) unplug(side lab.Side) error {
	n := r.node()
	return r.goneAndBack(n, fmt.Sprintf("%s link of %s down", side, n.ID), func() error { return r.lab.Unplug(n, side) },
		fmt.Sprintf("%s link of %s up", side, n.ID), func() error { return r.lab.Plug(n, side) })
}

// partition leaves a node's links up, but nobody on the fabric reaches it.
func partition(r *run) error {
	n := r.node()
	return r.goneAndBack(n, n.ID+" cut off from the fabric", func() error { return r.lab.Isolate(n, lab.South, true) },
		n.ID+" reaches the fabric again", func() error { return r.lab.Isolate(n, lab.South, false) })
}

// restartNode ends both programs politely and starts them at once, as an
// upgrade in place would.
func restartNode(r *run) error {
	n := r.node()
	return r.Step("restart of "+n.ID, func() error { return r.restart(n, dataplane, noded) }, r.Whole())
}

func (r *run) restart(n topology.Node, names ...string) error {
	for _, name := range names {
		if err := r.lab.Stop(n.ID, name, syscall.SIGTERM); err != nil {
			return err
		}
	}
	return r.lab.Restart(n.ID)
}

func killControlPlane(r *run) error {
	n := r.node()
	return r.Step("kill -9 and start of noded of "+n.ID, func() error {
		if err := r.lab.Stop(n.ID, noded, syscall.SIGKILL); err != nil {
			return err
		}
		return r.lab.Restart(n.ID)
	}, r.Whole())
}

// restartAll loses the state of all nodes: the modules bring it back.
func restartAll(r *run) error {
	r.Slow = true
	defer func() { r.Slow = false }()
	return r.Step("kill -9 and start of all nodes", func() error {
		var ids []string
		for _, n := range r.lab.Top.Nodes {
			ids = append(ids, n.ID)
		}
		if err := r.lab.Kill(ids...); err != nil {
			return err
		}
		return r.lab.Restart(ids...)
	}, r.Whole())
}

func drainNode(r *run) error {
	n := r.node()
	if err := r.Step("drain of "+n.ID, func() error { return r.lab.Weirctl("node", "drain", n.ID) }, r.Unannounced(n), r.Whole(n.ID)); err != nil {
		return err
	}
	return r.Step("undrain of "+n.ID, func() error { return r.lab.Weirctl("node", "undrain", n.ID) }, r.Whole())
}

func addNode(r *run) error {
	if err := r.Step("a node is added", func() error {
		_, err := r.lab.AddNode(r.ctx)
		return err
	}, r.Whole()); err != nil {
		return err
	}
	return r.removeNode()
}

// removeNode drains the last node and removes it.
func (r *run) removeNode() error {
	n := r.lab.Top.Nodes[len(r.lab.Top.Nodes)-1]
	if err := r.Step("drain of "+n.ID, func() error { return r.lab.Weirctl("node", "drain", n.ID) }, r.Unannounced(n), r.Whole(n.ID)); err != nil {
		return err
	}
	return r.Step(n.ID+" is removed", r.removed(r.lab.RemoveNode), r.Whole())
}

// removed is a step that removes a machine.
func (r *run) removed(remove func(context.Context) error) func() error {
	return func() error { return remove(r.ctx) }
}

func killModule(r *run) error {
	s := r.server()
	return r.Step("kill -9 and start of lbmodule of "+s.ID, func() error {
		if err := r.lab.Kill(s.ID); err != nil {
			return err
		}
		return r.lab.Restart(s.ID)
	})
}

func drainServer(r *run) error {
	s := r.server()
	if err := r.Step("drain of "+s.ID, func() error { return r.lab.Weirctl("server", "drain", s.ID) }); err != nil {
		return err
	}
	return r.Step("undrain of "+s.ID, func() error { return r.lab.Weirctl("server", "undrain", s.ID) })
}

func addServer(r *run) error {
	if err := r.Step("a server is added", r.serverIn); err != nil {
		return err
	}
	return r.removeServer()
}

// serverIn adds a server that serves.
func (r *run) serverIn() error {
	s, err := r.lab.AddServer(r.ctx)
	if err != nil {
		return err
	}
	return r.Serve(s)
}

// removeServer drains the last server, which has none of the connections that
// are held, and removes it once the new ones have gone too.
func (r *run) removeServer() error {
	s := r.lab.Top.Servers[len(r.lab.Top.Servers)-1]
	if err := r.Step("drain of "+s.ID, func() error { return r.lab.Weirctl("server", "drain", s.ID) }); err != nil {
		return err
	}
	return r.Step(s.ID+" is removed", r.removed(r.lab.RemoveServer))
}

// killWhileServersChange kills a node at the moment at which a server joins
// and another is drained.
func killWhileServersChange(r *run) error {
	n, s := r.node(), r.server()
	if err := r.goneAndBack(n, fmt.Sprintf("kill -9 %s, a server added, %s drained", n.ID, s.ID), func() error {
		if err := r.lab.Kill(n.ID); err != nil {
			return err
		}
		if err := r.lab.Weirctl("server", "drain", s.ID); err != nil {
			return err
		}
		return r.serverIn()
	}, n.ID+" returns", func() error { return r.lab.Restart(n.ID) }); err != nil {
		return err
	}
	if err := r.lab.Weirctl("server", "undrain", s.ID); err != nil {
		return err
	}
	return r.removeServer()
}

// killWhileNodeJoins kills a node at the moment at which another joins.
func killWhileNodeJoins(r *run) error {
	n := r.node()
	if err := r.goneAndBack(n, fmt.Sprintf("kill -9 %s, a node added", n.ID), func() error {
		if err := r.lab.Kill(n.ID); err != nil {
			return err
		}
		_, err := r.lab.AddNode(r.ctx)
		return err
	}, n.ID+" returns", func() error { return r.lab.Restart(n.ID) }); err != nil {
		return err
	}
	return r.removeNode()
}
