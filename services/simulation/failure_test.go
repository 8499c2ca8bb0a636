package simulation

import (
	"testing"
	"time"
)

func TestEstablishedConnectionsSurviveTheDeathOfANode(t *testing.T) {
	for dead := range 3 {
		c := newCluster(t, uint64(71+dead), Options{Nodes: 3, Servers: 3, Weather: storm})
		const flows = 80
		for i := range flows {
			c.Load.Start(c.Client, time.Duration(i)*5*time.Millisecond, Plan{Client: tuple(i).Client, VIP: tuple(i).VIP,
				Up: 20_000, Down: 20_000, ServerFirst: i%3 == 0, ServerEnds: i%2 == 0, Idle: 25 * time.Second})
		}
		c.Sim.After(20*time.Second, func() {
			if err := c.Kill(dead); err != nil {
				t.Error(err)
			}
		})
		run(t, c, 10*time.Minute)
	}
}

func TestConnectionsThatAreBeingEstablishedWhenANodeDiesComplete(t *testing.T) {
	for dead := range 3 {
		c := newCluster(t, uint64(74+dead), Options{Nodes: 3, Servers: 3})
		c.mixed(400, 4*time.Second)
		c.Sim.After(2*time.Second, func() {
			if err := c.Kill(dead); err != nil {
				t.Error(err)
			}
		})
		run(t, c, 10*time.Minute)
	}
}
