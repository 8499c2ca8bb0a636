package labtest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// killed kills both programs of nodes.
func killed(nodes ...topology.Node) func() error {
	return func() error { return theLab.Kill(ids(nodes)...) }
}

// restarted starts them again.
func restarted(nodes ...topology.Node) func() error {
	return func() error { return theLab.Restart(ids(nodes)...) }
}

func ids(nodes []topology.Node) []string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.ID)
	}
	return list
}

// One node after the other, each 3 s after the one before returned, for longer
// than the idle connections are silent: a minute. Together they are what the
// median of the router's withdrawals is taken of.
func TestTwentyKillsLoseNoConnectionNotEvenIdleOnes(t *testing.T) {
	const kills, pause = 20, 3 * time.Second
	h := hold(t, time.Minute)
	for i := range kills {
		n := theLab.Top.Nodes[i%len(theLab.Top.Nodes)]
		h.Dwell = 0
		h.step(fmt.Sprintf("kill -9 %s", n.ID), killed(n), h.Withdrawn(n))
		h.Dwell = pause
		h.step(fmt.Sprintf("%s returns", n.ID), restarted(n), h.Whole())
	}
}

func TestNoFailureOfOneNodeLosesAConnection(t *testing.T) {
	h := hold(t, 3*time.Second)
	nodes := theLab.Top.Nodes
	for i, fault := range []struct {
		away, back string
		do, undo   func(n topology.Node) error
	}{
		{"north link down", "north link up",
			func(n topology.Node) error { return theLab.Unplug(n, lab.North) }, func(n topology.Node) error { return theLab.Plug(n, lab.North) }},
		{"south link down", "south link up",
			func(n topology.Node) error { return theLab.Unplug(n, lab.South) }, func(n topology.Node) error { return theLab.Plug(n, lab.South) }},
		{"SIGSTOP of the dataplane", "SIGCONT of the dataplane",
			func(n topology.Node) error { return theLab.Signal(n.ID, "dataplane", syscall.SIGSTOP) },
			func(n topology.Node) error { return theLab.Signal(n.ID, "dataplane", syscall.SIGCONT) }},
		{"cut off from the fabric", "reaches the fabric again",
			func(n topology.Node) error { return theLab.Isolate(n, lab.South, true) },
			func(n topology.Node) error { return theLab.Isolate(n, lab.South, false) }},
	} {
		n := nodes[i%len(nodes)]
		t.Cleanup(func() { fault.undo(n) })
		h.step(n.ID+": "+fault.away, func() error { return fault.do(n) }, h.Withdrawn(n), h.Whole(n.ID))
		h.step(n.ID+": "+fault.back, func() error { return fault.undo(n) }, h.Whole())
	}
}

func TestAKillWhileServersComeAndGoLosesNothing(t *testing.T) {
	h := hold(t, 3*time.Second)
	n, drained := theLab.Top.Nodes[0], theLab.Top.Servers[0]
	t.Cleanup(func() { theLab.Weirctl("server", "undrain", drained.ID) })
	h.step(fmt.Sprintf("kill -9 %s, a server added, %s drained", n.ID, drained.ID), func() error {
		if err := theLab.Kill(n.ID); err != nil {
			return err
		}
		if err := theLab.Weirctl("server", "drain", drained.ID); err != nil {
			return err
		}
		added, err := theLab.AddServer(h.ctx)
		if err != nil {
			return err
		}
		return h.Serve(added)
	}, h.Withdrawn(n), h.Whole(n.ID))
	added := theLab.Top.Servers[len(theLab.Top.Servers)-1]
	h.step(n.ID+" returns", restarted(n), h.Whole())
	if got := offersOf(t, added); got.accepted == 0 {
		t.Errorf("%s, added, accepted no connection", added.ID)
	}
	h.step("drain of "+added.ID, func() error { return theLab.Weirctl("server", "drain", added.ID) })
	h.step(added.ID+" is removed", h.removed(theLab.RemoveServer))
}

func TestAKillWhileANodeJoinsLosesNothing(t *testing.T) {
	h := hold(t, 3*time.Second)
	n := theLab.Top.Nodes[0]
	h.step(fmt.Sprintf("kill -9 %s, a node added", n.ID), func() error {
		if err := theLab.Kill(n.ID); err != nil {
			return err
		}
		_, err := theLab.AddNode(h.ctx)
		return err
	}, h.Withdrawn(n), h.Whole(n.ID))
	h.step(n.ID+" returns", restarted(n), h.Whole())
	h.leave()
}

// leave drains the last node and removes it.
func (h *trial) leave() {
	n := theLab.Top.Nodes[len(theLab.Top.Nodes)-1]
	h.step("drain of "+n.ID, func() error { return theLab.Weirctl("node", "drain", n.ID) }, h.Unannounced(n), h.Whole(n.ID))
	h.step(n.ID+" is removed", h.removed(theLab.RemoveNode), h.Whole())
}

func TestTwoNodesOfFiveMayDieAtOnce(t *testing.T) {
	h := hold(t, 3*time.Second)
	for len(theLab.Top.Nodes) < 5 {
		h.step("a node is added", func() error {
			_, err := theLab.AddNode(h.ctx)
			return err
		}, h.Whole())
	}
	nodes := theLab.Top.Nodes
	for _, pair := range [][2]topology.Node{{nodes[0], nodes[2]}, {nodes[3], nodes[4]}} {
		h.Slow = true // flows of two dead trackers wait for their module
		h.step(fmt.Sprintf("kill -9 %s and %s", pair[0].ID, pair[1].ID), killed(pair[:]...), h.Gone(pair[0]), h.Gone(pair[1]), h.Whole(pair[0].ID, pair[1].ID))
		h.Slow = false
		h.step(fmt.Sprintf("%s and %s return", pair[0].ID, pair[1].ID), restarted(pair[:]...), h.Whole())
	}
	h.leave()
	h.leave()
}

func TestADrainedNodeLeavesAndComesBackUnnoticed(t *testing.T) {
	h := hold(t, 3*time.Second)
	n := theLab.Top.Nodes[1]
	h.step("drain of "+n.ID, func() error { return theLab.Weirctl("node", "drain", n.ID) }, h.Unannounced(n), h.Whole(n.ID))
	h.step(n.ID+" is shut down", func() error {
		for _, name := range []string{"noded", "dataplane"} {
			if err := theLab.Stop(n.ID, name, syscall.SIGTERM); err != nil {
				return err
			}
		}
		return nil
	}, h.Whole(n.ID))
	h.step(n.ID+" starts", restarted(n))
	h.step("undrain of "+n.ID, func() error { return theLab.Weirctl("node", "undrain", n.ID) }, h.Whole())
}

// A module that gets no CPU time is not dead: its machine answers, and packets
// come from it (S-58).
func TestAStarvedModuleKeepsItsConnections(t *testing.T) {
	h := hold(t, 3*time.Second)
	s := theLab.Top.Servers[2]
	t.Cleanup(func() { theLab.Signal(s.ID, "lbmodule", syscall.SIGCONT) })
	h.Dwell = 5 * time.Second
	h.step("SIGSTOP of lbmodule of "+s.ID, func() error { return theLab.Signal(s.ID, "lbmodule", syscall.SIGSTOP) })
	h.step("SIGCONT of lbmodule of "+s.ID, func() error { return theLab.Signal(s.ID, "lbmodule", syscall.SIGCONT) })
}
