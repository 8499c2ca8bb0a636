package simulation

import (
	"fmt"
	"testing"
	"time"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

// handshakeKinds are all frames that can take part in establishing a
// connection. expected ones must be met by this workload.
var handshakeKinds = []struct {
	name     string
	expected bool
}{
	{"tcp SYN", true},
	{"tcp SYN/ACK", true},
	{"tcp up ACK", true},
	{"tcp up payload", true},
	{"tcp down ACK", true},
	{"tcp down payload", true},
	{"data up ACK", true},
	{"data up payload", true},
	{"data down ACK", true},
	{"data down payload", true},
	{trackerKind(wire.MsgSyn), true},
	{trackerKind(wire.MsgSynStore), true},
	{trackerKind(wire.MsgSynBusy), false},
	{trackerKind(wire.MsgQuery), true},
	{trackerKind(wire.MsgChoice), true},
	{trackerKind(wire.MsgOffer), true},
	{trackerKind(wire.MsgAccept), true},
	{trackerKind(wire.MsgReject), true},
	{trackerKind(wire.MsgRejected), true},
	{trackerKind(wire.MsgMapped), true},
	{trackerKind(wire.MsgMappedAck), true},
	{trackerKind(wire.MsgCommit), true},
	{trackerKind(wire.MsgMapping), true},
	{trackerKind(wire.MsgUnknown), false},
	{trackerKind(wire.MsgRefused), false},
	{trackerKind(wire.MsgSuperseded), false},
	{trackerKind(wire.MsgNotHere), false},
	{trackerKind(wire.MsgGone), false},
}

// faultsOf are the faults of one kind: each of the first three copies lost
// alone, the first two and the first three lost, and each doubled, the second
// one at once, soon after and much later.
func faultsOf(kind string) (out []Fault) {
	for n := 1; n <= 3; n++ {
		out = append(out, Fault{Kind: kind, First: n, Last: n})
		for _, later := range []time.Duration{0, 700 * time.Microsecond, 60 * time.Millisecond} {
			out = append(out, Fault{Kind: kind, First: n, Last: n, Double: true, Later: later})
		}
	}
	return append(out, Fault{Kind: kind, First: 1, Last: 2}, Fault{Kind: kind, First: 1, Last: 3})
}

func TestEveryLostOrDoubledMessageOfTheHandshakeLeavesAWorkingConnection(t *testing.T) {
	for _, first := range []string{"client", "server"} {
		t.Run(first+" speaks first", func(t *testing.T) {
			c := newCluster(t, 21, Options{Nodes: 3, Servers: 3, Script: true})
			for _, s := range c.Servers {
				s.Reject = func(_ int64, k *flow.Key) uint8 {
					// A third of the connections is refused by two of three servers.
					if k.ClientPort%3 == 0 && s.number != 1+k.ClientPort/3%3 {
						return wire.RejectCPU
					}
					return wire.RejectNone
				}
			}
			const roles = 3 // connections per fault: their roles fall differently
			faults := map[*Flow]Fault{}
			for _, kind := range handshakeKinds {
				for _, fault := range faultsOf(kind.name) {
					for range roles {
						n := len(faults)
						c.Script.Set(tuple(n), fault)
						f := c.Load.Start(c.Client, time.Duration(n)*5*time.Millisecond, Plan{Client: tuple(n).Client, VIP: tuple(n).VIP,
							Up: 3000, Down: 5000, ServerFirst: first == "server", ServerEnds: n%2 == 0})
						faults[f] = fault
					}
				}
			}
			err := c.Run(10 * time.Minute)
			struck := map[string]int{}
			for f, fault := range faults {
				struck[fault.Kind] += c.Script.Struck(Tuple{f.Client, f.VIP})
				if err != nil && !f.Done && f.client != nil {
					t.Logf("%v: %v, struck %d times", f, fault, c.Script.Struck(Tuple{f.Client, f.VIP}))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			summary := ""
			for _, kind := range handshakeKinds {
				if struck[kind.name] == 0 && kind.expected {
					t.Errorf("no fault met a frame %q", kind.name)
				}
				summary += fmt.Sprintf(", %s %d", kind.name, struck[kind.name])
			}
			t.Logf("%d connections, %v of virtual time; faults%s", len(faults), c.Sim.Elapsed(), summary[1:])
		})
	}
}

// The second copy of a SYN, or of its way between the trackers, comes when a
// server is being looked for, and one more message is lost.
func TestASYNThatComesAgainLateStopsNoRepetition(t *testing.T) {
	c := newCluster(t, 22, Options{Nodes: 3, Servers: 3, Script: true})
	late := []string{"tcp SYN", trackerKind(wire.MsgSyn), trackerKind(wire.MsgSynStore)}
	lost := []uint8{wire.MsgQuery, wire.MsgChoice, wire.MsgOffer, wire.MsgAccept, wire.MsgMapped, wire.MsgMappedAck, wire.MsgMapping, wire.MsgCommit}
	n, what := 0, map[*Flow]string{}
	for _, again := range late {
		for _, msg := range lost {
			for _, after := range []time.Duration{5, 8, 15, 25} {
				for range 6 {
					second := Fault{Kind: again, First: 1, Last: 1, Double: true, Later: after * time.Millisecond}
					missing := Fault{Kind: trackerKind(msg), First: 1, Last: 1}
					c.Script.Set(tuple(n), second, missing)
					f := c.Load.Start(c.Client, time.Duration(n)*5*time.Millisecond, Plan{Client: tuple(n).Client, VIP: tuple(n).VIP,
						Up: 3000, Down: 5000, ServerFirst: n%2 == 0, ServerEnds: n%4 == 0})
					what[f] = fmt.Sprint(second, ", ", missing)
					n++
				}
			}
		}
	}
	err := c.Run(time.Minute)
	for f, faults := range what {
		if took := f.Ended - f.Began; f.Done && took > 3*time.Second {
			t.Errorf("%v took %v: %s", f, took, faults)
		} else if f.Err != nil {
			t.Errorf("%v: %v: %s", f, f.Err, faults)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
