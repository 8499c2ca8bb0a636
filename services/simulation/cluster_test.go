package simulation

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// A failure names its seed; these replay it and show every packet:
//
//	go test ./services/simulation -run TestName -seed 7 -pcapng /tmp/run.pcapng
var (
	seedFlag   = flag.Uint64("seed", 0, "seed of all runs; 0: each test's own")
	pcapngFlag = flag.String("pcapng", "", "file for a capture of every frame on every bus")
)

func newCluster(t *testing.T, seed uint64, o Options) *Cluster {
	t.Helper()
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	c, err := NewCluster(seed, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if *pcapngFlag != "" {
		f, err := os.Create(*pcapngFlag)
		if err != nil {
			t.Fatal(err)
		}
		c.Sim.Trace.Capture(f)
		t.Cleanup(func() {
			if err := errors.Join(c.Sim.Trace.Err(), f.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	return c
}

// run lets the workload end and checks what must hold at the end of any run.
func run(t *testing.T, c *Cluster, limit time.Duration) {
	t.Helper()
	if err := c.Run(limit); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes {
		held := 0
		for _, w := range n.Workers {
			held += w.Usage().Held
		}
		if n.Kernel > 0 && !c.corrupts {
			t.Errorf("seed %d: node %s took %d frames of clients or servers for its own", c.Sim.Seed, n.ID, n.Kernel)
		}
		if n.Arena.inUse() != held+len(n.received) {
			t.Errorf("seed %d: node %s has lost frames: %d are in use, %d are held", c.Sim.Seed, n.ID, n.Arena.inUse(), held)
		}
	}
}

// storm is 5 % loss, duplication and reordering.
func storm(r *rand.Rand) []Stage {
	return []Stage{DropStage(r, 0.05), DuplicateStage(r, 0.05, time.Millisecond), ReorderStage(r, 0.05, 2*time.Millisecond)}
}

// mixed starts n connections of all sorts within a time.
func (c *Cluster) mixed(n int, within time.Duration) {
	r := c.Sim.Rand("workload")
	for i := range n {
		t := tuple(i)
		c.Load.Start(c.Client, time.Duration(r.Int64N(int64(within))), Plan{Client: t.Client, VIP: t.VIP,
			Up: 1 + r.IntN(20_000), Down: 1 + r.IntN(60_000), ServerFirst: i%3 == 0, ServerEnds: i%2 == 0})
	}
}

func TestOneConnectionInFineWeather(t *testing.T) {
	c := newCluster(t, 1, Options{Nodes: 3, Servers: 2})
	c.mixed(1, time.Millisecond)
	run(t, c, time.Minute)
}

func TestTwoHundredConnectionsThroughThreeNodesInAStorm(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newCluster(t, seed, Options{Nodes: 3, Servers: 4, Weather: storm})
			c.mixed(200, 5*time.Second)
			run(t, c, 10*time.Minute)
			servers := map[int]int{}
			for _, f := range c.Load.Flows {
				servers[f.Server]++
			}
			if len(servers) != 4 {
				t.Errorf("connections per server: %v; all four must have some", servers)
			}
			t.Logf("%d frames, %v of virtual time, connections per server %v", c.Sim.Trace.Frames(), c.Sim.Elapsed(), servers)
		})
	}
}

func TestTheSameSeedGivesTheSameRunOfAWholeCluster(t *testing.T) {
	sum := func(seed uint64) (string, uint64) {
		c := newCluster(t, seed, Options{Nodes: 3, Servers: 2, Weather: storm})
		c.mixed(60, time.Second)
		run(t, c, 10*time.Minute)
		return c.Sim.Trace.Sum(), c.Sim.Trace.Frames()
	}
	a, n := sum(11)
	if b, m := sum(11); a != b {
		t.Errorf("seed 11 gave two different runs: %s after %d frames, %s after %d", a, n, b, m)
	}
	if *seedFlag == 0 {
		if c, _ := sum(12); a == c {
			t.Errorf("seeds 11 and 12 gave the same run")
		}
	}
}

func TestALoneNodeServesWithoutASecondTracker(t *testing.T) {
	c := newCluster(t, 5, Options{Nodes: 1, Servers: 2, Weather: storm})
	c.mixed(60, 2*time.Second)
	run(t, c, 10*time.Minute)
}

func TestRolesCoincideInEveryAllowedWay(t *testing.T) {
	c := newCluster(t, 3, Options{Nodes: 3, Servers: 2, Workers: 3})
	c.mixed(200, 2*time.Second)
	run(t, c, time.Minute)
	count := map[string]int{}
	for _, f := range c.Load.Flows {
		r := c.Roles(Tuple{f.Client, f.VIP})
		if r.Primary == r.Secondary {
			t.Errorf("%v: node %d is primary and secondary", f, r.Primary)
		}
		count["ingress is "+r.Place(r.Ingress)+", egress is "+r.Place(r.Egress)]++
	}
	for _, ingress := range []string{"primary", "secondary", "other"} {
		for _, egress := range []string{"primary", "secondary", "other"} {
			name := "ingress is " + ingress + ", egress is " + egress
			if count[name] == 0 {
				t.Errorf("%s: never", name)
			}
			t.Logf("%s: %d", name, count[name])
			delete(count, name)
		}
	}
	if len(count) > 0 {
		t.Errorf("also: %v", count)
	}
}
