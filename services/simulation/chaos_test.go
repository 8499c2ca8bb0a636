package simulation

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// hurricane delays and doubles far beyond what a fabric may do.
func hurricane(r *rand.Rand) []Stage {
	return []Stage{DropStage(r, 0.05), DuplicateStage(r, 0.1, 100*time.Millisecond), ReorderStage(r, 0.2, 50*time.Millisecond)}
}

// chaos is a workload with everything at once: slow, unwilling servers,
// strangers who write in the clients' names.
func chaos(c *Cluster, flows int) {
	r := c.Sim.Rand("chaos")
	for i, s := range c.Servers {
		s.Reject = func(int64, *flow.Key) uint8 {
			if r.IntN(3) == 0 {
				return wire.RejectCPU
			}
			return wire.RejectNone
		}
		if i == 0 {
			s.port.Out = append(s.port.Out, func(k Packet, next func(Packet)) {
				if kind, ok := Classify(k.Frame, isVIP); ok && strings.HasPrefix(kind.Name, "tracker") {
					k.Delay += time.Duration(r.Int64N(int64(2 * time.Second)))
				}
				next(k)
			})
		}
	}
	for range flows * 20 {
		n := r.IntN(flows)
		s := Segment{Tuple: tuple(n), Flags: []uint8{flagSYN, flagACK, flagACK | flagSYN}[r.IntN(3)], Seq: r.Uint32(), Ack: r.Uint32(), Window: 1000}
		c.Sim.After(time.Duration(r.Int64N(int64(20*time.Second))), func() {
			// S-15 protects live connections, not those that are still being made.
			if c.Load.Flows[n].Server >= 0 {
				c.Spoof(s)
			}
		})
	}
	for i := range flows {
		t := tuple(i)
		c.Load.Start(c.Client, time.Duration(r.Int64N(int64(5*time.Second))), Plan{Client: t.Client, VIP: t.VIP,
			Up: 1 + r.IntN(10_000), Down: 1 + r.IntN(20_000), ServerEnds: i%2 == 0, Idle: time.Duration(r.IntN(3)) * time.Second})
	}
}

func TestInAHurricaneWithSlowUnwillingServersAndStrangersNoByteIsLostOrWrong(t *testing.T) {
	c := newCluster(t, 51, Options{Nodes: 3, Servers: 3, Weather: hurricane, Endpoint: ", when_exhausted: last_accepts"})
	chaos(c, 80)
	run(t, c, 60*time.Minute)
	t.Logf("%d frames, %v of virtual time", c.Sim.Trace.Frames(), c.Sim.Elapsed())
}

// One segment at a time: two flips in one packet may cancel out in TCP's checksum.
func TestFlippedBitsAreNeverTakenForData(t *testing.T) {
	for _, name := range []string{"access", "north", "fabric"} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 54, Options{Nodes: 3, Servers: 3, Corrupts: true})
			for _, bus := range []*Bus{c.Access, c.North, c.Fabric} {
				if bus.Name != name {
					continue
				}
				for _, p := range bus.Ports() {
					r := c.Sim.Rand("bits " + p.label)
					p.In = append(p.In, CorruptStage(r, 0.05), DelayStage(r, 0, 300*time.Microsecond))
				}
			}
			c.mixed(100, 3*time.Second)
			run(t, c, 10*time.Minute)
		})
	}
}
