package simulation

import (
	"testing"
	"time"
)

// The server's last acknowledgement is lost for longer than a lease. The client
// repeats its FIN, and what meets it is the server's TIME_WAIT, which is
// published until it ends (S-40).
func TestAFINThatComesAgainAfterALeaseMeetsTheServersTimeWait(t *testing.T) {
	c := newCluster(t, 82, Options{Nodes: 3, Servers: 3, Membership: true})
	settled(t, c, 20*time.Second)
	const flows = 20
	finished := map[Tuple]time.Duration{} // when the client first closed
	for _, p := range c.Access.Ports() {
		p.Out = append(p.Out, func(k Packet, next func(Packet)) {
			kind, ok := Classify(k.Frame, isVIP)
			if ok && kind.Name == "tcp up FIN" && finished[kind.Tuple] == 0 {
				finished[kind.Tuple] = c.Sim.Elapsed()
			}
			if ok && kind.Name == "tcp down RST" {
				t.Errorf("%v: a reset in answer to a FIN that came again", kind.Tuple)
			}
			if at := finished[kind.Tuple]; ok && kind.Name == "tcp down ACK" && at > 0 && c.Sim.Elapsed()-at < 15*time.Second {
				return
			}
			next(k)
		})
	}
	for i := range flows {
		c.Load.Start(c.Client, time.Duration(i)*10*time.Millisecond, Plan{Client: tuple(i).Client, VIP: tuple(i).VIP, Up: 2000, Down: 2000, ServerEnds: true})
	}
	run(t, c, 5*time.Minute)
	end := c.Sim.Elapsed() + 40*time.Second
	if err := c.Sim.Run(time.Minute, func() bool { return c.Sim.Elapsed() > end }); err != nil {
		t.Error(err)
	}
	if len(finished) != flows {
		t.Errorf("%d of %d connections were closed by their client", len(finished), flows)
	}
}
