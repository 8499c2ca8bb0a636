package simulation

import (
	"strings"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/flow"
	"weir/dataplane/wire"
)

func TestAPacketAtAServerThatDoesNotOwnItsFlowNeverReachesTheKernel(t *testing.T) {
	c := newCluster(t, 61, Options{Nodes: 3, Servers: 3})
	// Whatever an ingress node sends to one server, the two others get too.
	copied := 0
	for _, n := range c.Nodes {
		south := n.Ports[1]
		south.Out = append(south.Out, func(k Packet, next func(Packet)) {
			next(k)
			kind, ok := Classify(k.Frame, isVIP)
			if !ok || kind.Name != "data up payload" && kind.Name != "data up ACK" || copied > 3000 {
				return
			}
			for j, s := range c.Servers {
				if MAC(k.Frame[:6]) == serverMAC(j+1) {
					continue
				}
				frame := append([]byte(nil), k.Frame...)
				mac := serverMAC(j + 1)
				copy(frame, mac[:])
				ip := header.IPv4(frame[ethernetSize:])
				ip.SetDestinationAddress(stackAddr(s.address))
				ip.SetChecksum(0)
				ip.SetChecksum(^ip.CalculateChecksum())
				copied++
				next(Packet{Frame: frame, Delay: k.Delay})
			}
		})
	}
	c.mixed(60, time.Second)
	run(t, c, time.Minute)
	notHere := uint64(0)
	for i, s := range c.Servers {
		notHere += s.Agent.Counters().NotHere
		for _, f := range c.Load.Flows {
			if n := s.Delivered[Tuple{f.Client, f.VIP}]; n > 0 && f.Server != i+1 {
				t.Errorf("%d packets of %v, which is on server %d, reached the kernel of server %d", n, f, f.Server, i+1)
			}
		}
	}
	if notHere < uint64(copied)/2 {
		t.Errorf("the servers said \"not here\" %d times to %d packets", notHere, copied)
	}
	t.Logf("%d packets at servers that do not own their flow, answered %d times", copied, notHere)
}

func TestAFlowThatItsServerHasForgottenEndsWithAResetWhateverMessageIsLost(t *testing.T) {
	c := newCluster(t, 62, Options{Nodes: 3, Servers: 2, Script: true})
	faults := []Fault{{}}
	for _, kind := range []string{trackerKind(wire.MsgNotHere), trackerKind(wire.MsgGone), trackerKind(wire.MsgQuery), trackerKind(wire.MsgUnknown), "tcp down RST"} {
		faults = append(faults, faultsOf(kind)...)
	}
	const roles = 3
	for i := range len(faults) * roles {
		tu := tuple(i)
		c.Script.Set(tu, faults[i/roles])
		f := c.Load.Start(c.Client, time.Duration(i)*time.Millisecond, Plan{Client: tu.Client, VIP: tu.VIP, Up: 2000, Down: 2000, Idle: 3 * time.Second, MayFail: true})
		c.Sim.After(2*time.Second, func() {
			k := flow.MakeKey(tu.Client, tu.VIP, protoTCP)
			c.Servers[f.Server-1].path.Delete(&k)
		})
	}
	run(t, c, 10*time.Minute)
	struck := map[string]int{}
	for i, f := range c.Load.Flows {
		fault := faults[i/roles]
		struck[fault.Kind] += c.Script.Struck(tuple(i))
		if f.Done || !strings.Contains(f.Err.Error(), "reset") {
			t.Errorf("%v (%v) ended with %v, want a reset", f, fault, f.Err)
		}
		if fault == (Fault{}) && f.Ended > 4*time.Second {
			t.Errorf("%v, without a fault, ended after %v only", f, f.Ended)
		}
	}
	for kind, n := range struck {
		if n == 0 && kind != "" {
			t.Errorf("no fault met a frame %q", kind)
		}
	}
	for _, n := range c.Nodes {
		for _, w := range n.Workers {
			if u := w.Usage(); u.Mapped+u.Tracked > 0 {
				t.Errorf("node %s still maps %d and tracks %d flows", n.ID, u.Mapped, u.Tracked)
			}
		}
	}
	t.Logf("%d flows, %v of virtual time, faults %v", len(c.Load.Flows), c.Sim.Elapsed(), struck)
}

func TestAConnectionThatEveryServerRefusesEndsWithAResetWhateverMessageIsLost(t *testing.T) {
	c := newCluster(t, 63, Options{Nodes: 3, Servers: 3, Script: true, Endpoint: ", offers: 3"})
	for _, s := range c.Servers {
		s.Reject = func(int64, *flow.Key) uint8 { return wire.RejectCPU }
	}
	var faults []Fault
	for _, msg := range []uint8{wire.MsgQuery, wire.MsgChoice, wire.MsgOffer, wire.MsgReject, wire.MsgRejected, wire.MsgRefused} {
		faults = append(faults, faultsOf(trackerKind(msg))...)
	}
	faults = append(faults, faultsOf("tcp down RST")...)
	const roles = 3
	for i := range len(faults) * roles {
		c.Script.Set(tuple(i), faults[i/roles])
		c.Load.Start(c.Client, time.Duration(i)*time.Millisecond, Plan{Client: tuple(i).Client, VIP: tuple(i).VIP, Up: 2000, Down: 2000, MayFail: true})
	}
	run(t, c, 10*time.Minute)
	struck := map[string]int{}
	for i, f := range c.Load.Flows {
		struck[faults[i/roles].Kind] += c.Script.Struck(tuple(i))
		if f.Done || !strings.Contains(f.Err.Error(), "reset") {
			t.Errorf("%v (%v) ended with %v, want a reset", f, faults[i/roles], f.Err)
		}
	}
	for kind, n := range struck {
		if n == 0 {
			t.Errorf("no fault met a frame %q", kind)
		}
	}
	t.Logf("%d flows, %v of virtual time, faults %v", len(c.Load.Flows), c.Sim.Elapsed(), struck)
}
