package simulation

import (
	"strings"
	"testing"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

func TestRejectedByAllServersAClientIsResetAfterExactlyAsManyOffersAsItsTTL(t *testing.T) {
	const ttl, flows = 3, 40
	for _, weather := range []struct {
		name    string
		options Options
	}{
		{"in fine weather", Options{Nodes: 3, Servers: 4, Endpoint: ", offers: 3"}},
		{"in a storm", Options{Nodes: 3, Servers: 4, Endpoint: ", offers: 3", Weather: storm}},
	} {
		t.Run(weather.name, func(t *testing.T) {
			c := newCluster(t, 41, weather.options)
			offers := map[uint16]int{}
			for _, s := range c.Servers {
				s.Reject = func(_ int64, k *flow.Key) uint8 {
					offers[k.ClientPort]++
					return wire.RejectConnections
				}
			}
			for i := range flows {
				c.Load.Start(c.Client, time.Duration(i)*10*time.Millisecond, Plan{Client: tuple(i).Client, VIP: tuple(i).VIP,
					Up: 2000, Down: 2000, MayFail: true})
			}
			run(t, c, 10*time.Minute)
			for _, f := range c.Load.Flows {
				if f.Done || f.Err == nil || !strings.Contains(f.Err.Error(), "reset") {
					t.Errorf("%v ended with %v, want a reset", f, f.Err)
				}
				// When resets are lost for longer than anybody remembers the
				// refusal, a repeated packet begins another round.
				if n := offers[f.Client.Port()]; n != ttl && (weather.options.Weather == nil || n%ttl != 0) {
					t.Errorf("%v was offered %d times, want %d", f, n, ttl)
				}
			}
		})
	}
}

func TestWhenThePolicySaysSoTheLastServerAcceptsWhateverItsLoad(t *testing.T) {
	c := newCluster(t, 42, Options{Nodes: 3, Servers: 4, Endpoint: ", offers: 3, when_exhausted: last_accepts", Weather: storm})
	for _, s := range c.Servers {
		s.Reject = func(int64, *flow.Key) uint8 { return wire.RejectConnections }
	}
	c.mixed(60, time.Second)
	run(t, c, 10*time.Minute)
}

func TestAServerWhoseAnswersComeTooLateNeverSharesAConnection(t *testing.T) {
	c := newCluster(t, 43, Options{Nodes: 3, Servers: 3, Weather: storm})
	r := c.Sim.Rand("slow server")
	slow := c.Servers[0]
	slow.port.Out = append(slow.port.Out, func(k Packet, next func(Packet)) {
		if kind, ok := Classify(k.Frame, isVIP); ok && strings.HasPrefix(kind.Name, "tracker") {
			k.Delay += time.Second + time.Duration(r.Int64N(int64(2*time.Second)))
		}
		next(k)
	})
	c.mixed(150, 5*time.Second)
	run(t, c, 10*time.Minute)
	if slow.Agent.Counters().Superseded == 0 {
		t.Errorf("the slow server never lost an offer to another one: %+v", slow.Agent.Counters())
	}
	t.Logf("slow server: %+v", slow.Agent.Counters())
}
