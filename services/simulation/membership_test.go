package simulation

import (
	"testing"
	"time"

	"weir/services/noded/membership"
)

// settled lets a cluster come up: all nodes are announced.
func settled(t *testing.T, c *Cluster, limit time.Duration) {
	t.Helper()
	if err := c.Sim.Run(limit, c.Announced); err != nil {
		for _, l := range c.Sim.Lines() {
			t.Log(l)
		}
		t.Fatal(err)
	}
}

func TestNodesThatFindEachOtherServeConnections(t *testing.T) {
	c := newCluster(t, 81, Options{Nodes: 5, Servers: 4, Membership: true, Weather: storm})
	settled(t, c, 20*time.Second)
	t.Logf("all nodes are announced after %v", c.Sim.Elapsed())
	c.mixed(200, 5*time.Second)
	run(t, c, 10*time.Minute)
	for _, n := range c.Nodes {
		for _, m := range n.control.core.View().Nodes {
			if m.State != membership.StateHealthy {
				t.Errorf("node %s holds node %d for %v", n.ID, m.Number, m.State)
			}
		}
	}
}
