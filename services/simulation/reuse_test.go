package simulation

import (
	"testing"
	"time"
)

const (
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagACK = 1 << 4
)

func TestSpoofedSYNsOnLiveConnectionsDoNoHarm(t *testing.T) {
	c := newCluster(t, 31, Options{Nodes: 3, Servers: 3})
	const flows = 60
	for i := range flows {
		c.Load.Start(c.Client, time.Duration(i)*time.Millisecond, Plan{Client: tuple(i).Client, VIP: tuple(i).VIP,
			Up: 40_000, Down: 40_000, ServerFirst: i%3 == 0, ServerEnds: i%2 == 0, Idle: 4 * time.Second})
	}
	r := c.Sim.Rand("stranger")
	for range 3000 {
		s := Segment{Tuple: tuple(r.IntN(flows)), Flags: flagSYN, Seq: r.Uint32(), Window: 1000}
		c.Sim.After(time.Duration(r.Int64N(int64(5*time.Second))), func() { c.Spoof(s) })
	}
	run(t, c, time.Minute)
}

func TestAPortThatIsReusedReachesANewIncarnation(t *testing.T) {
	for _, weather := range []struct {
		name    string
		options Options
	}{
		{"in fine weather", Options{Nodes: 3, Servers: 3}},
		{"in a storm", Options{Nodes: 3, Servers: 3, Weather: storm}},
	} {
		t.Run(weather.name, func(t *testing.T) {
			c := newCluster(t, 32, weather.options)
			const flows, lives = 40, 4
			servers := map[Tuple]map[int]bool{}
			for i := range flows {
				life := 0
				plan := Plan{Client: tuple(i).Client, VIP: tuple(i).VIP, Up: 3000, Down: 9000, ServerFirst: i%3 == 0, ServerEnds: true}
				servers[tuple(i)] = map[int]bool{}
				plan.Then = func(f *Flow) {
					servers[tuple(i)][f.Server] = true
					if life++; life < lives {
						c.Load.StartAfter(c.Client, f, plan)
					}
				}
				c.Load.Start(c.Client, time.Duration(i)*10*time.Millisecond, plan)
			}
			run(t, c, 10*time.Minute)
			if got := len(c.Load.Flows); got != flows*lives {
				t.Errorf("%d connections, want %d", got, flows*lives)
			}
			moved := 0
			for _, s := range servers {
				if len(s) > 1 {
					moved++
				}
			}
			if moved == 0 {
				t.Errorf("no incarnation went to another server than the one before it")
			}
		})
	}
}

func TestAPortIsReusedWhileItsOldConnectionStillLivesOnAServer(t *testing.T) {
	c := newCluster(t, 33, Options{Nodes: 3, Servers: 3, Script: true})
	const flows = 60
	for i := range flows {
		// The client's reset never arrives: its machine lost power, say.
		c.Script.Set(tuple(i), Fault{Kind: "tcp up RST", First: 1, Last: 1 << 30})
		plan := Plan{Client: tuple(i).Client, VIP: tuple(i).VIP, Up: 3000, Down: 9000, ServerFirst: i%3 == 0, ServerEnds: i%2 == 0}
		old := plan
		old.Idle, old.MayFail = time.Hour, true
		old.Then = func(*Flow) { c.Load.Start(c.Client, time.Second, plan) }
		f := c.Load.Start(c.Client, time.Duration(i)*10*time.Millisecond, old)
		c.Sim.After(2*time.Second, f.Abort)
	}
	run(t, c, time.Minute)
	for _, f := range c.Load.Flows[flows:] {
		if !f.Done {
			t.Errorf("%v did not work: %v", f, f.Err)
		}
	}
}
