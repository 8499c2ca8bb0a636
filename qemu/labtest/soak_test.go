package labtest

import (
	"net/netip"
	"testing"
	"time"

	"weir/qemu/soak"
	"weir/qemu/topology"
)

// What the acceptance tests hold open while they disturb the cluster.
const (
	heldConnections = 300
	freshPerSecond  = 100
	// lossPatience is how long a connection may be silent before it counts as
	// lost. Stalls have limits of their own, far below.
	lossPatience = 30 * time.Second
)

// hold starts servers on the test endpoint and establishes connections of
// every kind, whose idle ones are silent for that long each time.
func hold(t *testing.T, idle time.Duration) *soak.Soak {
	t.Helper()
	s := soak.New(soak.Plan{
		Client: topology.ClientName, Targets: []netip.AddrPort{test4(), test6()},
		Connections: heldConnections, Idle: idle, Rate: freshPerSecond, Patience: lossPatience,
	})
	closed := false
	t.Cleanup(func() {
		if !closed {
			judge(t, s.Close())
		}
	})
	for _, server := range theLab.Top.Servers {
		if err := s.Listen(server.Namespace, test4().Port()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Open(within(t, time.Minute)); err != nil {
		closed = true
		s.Close()
		t.Fatal(err)
	}
	return s
}

// judge fails the test for every connection that was lost.
func judge(t *testing.T, v *soak.Verdict) {
	t.Helper()
	const shown = 10
	t.Logf("%d of %d connections lost, %.1f MB verified; %d of %d new connections failed", len(v.Lost), v.Held, float64(v.Bytes)/1e6, len(v.FreshFailed), v.Fresh)
	for i, l := range v.Lost {
		if i < shown {
			t.Error(l)
		}
	}
	for i, err := range v.FreshFailed {
		if i < shown {
			t.Error(err)
		}
	}
	if v.Fresh == 0 || v.Bytes == 0 {
		t.Error("there was no traffic")
	}
}

func TestConnectionsOfEveryKindLiveOnWhenNothingHappens(t *testing.T) {
	s := hold(t, 3*time.Second)
	<-time.After(10 * time.Second) // the time under test
	w := s.Window()
	t.Logf("longest stall %v (%s), median %v; slowest new connection %v", w.Longest, w.Worst, w.Median, w.Fresh)
	if w.Longest > time.Second {
		t.Errorf("%s stalled for %v", w.Worst, w.Longest)
	}
}
