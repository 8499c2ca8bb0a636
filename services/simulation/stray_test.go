package simulation

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"weir/dataplane/flow"
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

func TestAFlowThatItsServerHasForgottenEndsWithAReset(t *testing.T) {
	c := newCluster(t, 62, Options{Nodes: 3, Servers: 2})
	for i := range 20 {
		tu := tuple(i)
		f := c.Load.Start(c.Client, time.Duration(i)*time.Millisecond, Plan{Client: tu.Client, VIP: tu.VIP, Up: 2000, Down: 2000, Idle: 3 * time.Second, MayFail: true})
		c.Sim.After(2*time.Second, func() {
			k := flow.MakeKey(tu.Client, tu.VIP, protoTCP)
			c.Servers[f.Server-1].path.Delete(&k)
		})
	}
	run(t, c, time.Minute)
	for _, f := range c.Load.Flows {
		if f.Done || f.Ended > 5*time.Second {
			t.Errorf("%v ended after %v with %v, want a reset at once", f, f.Ended, f.Err)
		}
	}
	for _, n := range c.Nodes {
		for _, w := range n.Workers {
			if u := w.Usage(); u.Mapped+u.Tracked > 0 {
				t.Errorf("node %s still maps %d and tracks %d flows", n.ID, u.Mapped, u.Tracked)
			}
		}
	}
}
