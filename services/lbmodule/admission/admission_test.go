package admission

import (
	"math"
	"math/rand/v2"
	"testing"

	"weir/dataplane/wire"
)

var defaults = []Step{{0.80, 0.20}, {0.90, 0.25}, {0.95, 0.50}, {0.98, 1}}

func rejected(c *Controller, n int) (count int, reason uint8) {
	for range n {
		if r := c.Admit(0, nil); r != wire.RejectNone {
			count++
			reason = r
		}
	}
	return count, reason
}

func TestTheShareOfRejectedOffersFollowsTheCurve(t *testing.T) {
	for _, tc := range []struct {
		utilization float64
		share       float64
	}{
		{0, 0}, {0.5, 0}, {0.79, 0}, {0.80, 0.20}, {0.89, 0.20}, {0.90, 0.25}, {0.94, 0.25},
		{0.946, 0.50}, {0.95, 0.50}, {0.974, 0.50}, {0.98, 1}, {1, 1}, {1.7, 1},
	} {
		for m := range NumMetrics {
			c := New(defaults, rand.New(rand.NewPCG(1, uint64(m))))
			c.Sample(m, tc.utilization, 0)
			n, reason := rejected(c, 10000)
			if got := float64(n) / 10000; math.Abs(got-tc.share) > 0.02 {
				t.Errorf("%s at %.3f: %.3f of offers rejected, want %.2f", m, tc.utilization, got, tc.share)
			}
			if n > 0 && reason != reasons[m] {
				t.Errorf("%s at %.3f: reason %d", m, tc.utilization, reason)
			}
		}
	}
}

func TestTheWorstMetricDecides(t *testing.T) {
	c := New(defaults, rand.New(rand.NewPCG(1, 2)))
	c.Sample(CPU, 0.2, 0)
	c.Sample(Backlog, 0.99, 0)
	if n, reason := rejected(c, 100); n != 100 || reason != wire.RejectBacklog {
		t.Errorf("%d of 100 offers rejected for reason %d", n, reason)
	}
}

func TestAcceptedConnectionsCountUntilTheNextSample(t *testing.T) {
	c := New(defaults, rand.New(rand.NewPCG(1, 2)))
	c.Sample(Connections, 0.97, 0.002)
	for range 5 {
		c.Accepted(0)
	}
	if n, _ := rejected(c, 100); n != 100 {
		t.Errorf("five more connections fill the server; %d of 100 offers rejected", n)
	}
	c.Sample(Connections, 0.5, 0.002)
	if n, _ := rejected(c, 100); n != 0 {
		t.Errorf("a new sample replaces the projection; %d of 100 offers rejected", n)
	}
	c.Sample(CPU, 0.5, 10)
	c.Accepted(0)
	if _, p := c.Utilization(CPU); p > 0.5+maxProjection+1e-9 {
		t.Errorf("an absurd cost projects %.2f", p)
	}
}

func TestARateIsAveragedOverOneSecond(t *testing.T) {
	var r Rate
	var total, u float64
	// A server that runs 95 ms of every 100 ms, sampled with jitter.
	rng := rand.New(rand.NewPCG(3, 4))
	used := func(at int64) float64 { return float64(at/100e6)*95e6 + float64(min(at%100e6, 95e6)) }
	for i := range int64(100) {
		at := i*100e6 + rng.Int64N(10e6)
		total = used(at)
		u, _ = r.Add(at, total, 1e9, 0)
		if i > 10 && math.Abs(u-0.95) > 0.012 {
			t.Errorf("sample %d: utilisation %.4f", i, u)
		}
	}
	if u, _ := r.Add(99*100e6+200e6, 5, 1e9, 0); u != 0 {
		t.Errorf("a counter that fell gives utilisation %.2f", u)
	}
}

func TestTheCostOfAConnectionIsLearnedBesideOtherLoad(t *testing.T) {
	var r Rate
	rng := rand.New(rand.NewPCG(5, 6))
	var total, cost float64
	for i := range int64(200) {
		n := rng.IntN(20)
		total += 80e6 + float64(n)*0.5e6 + rng.NormFloat64()*1e6 // 80 % of other work, 0.5 ms per connection
		_, cost = r.Add(i*100e6, total, 1e9, n)
	}
	if cost < 0.0004 || cost > 0.0006 {
		t.Errorf("one connection costs %.5f of a second, want 0.0005", cost)
	}
}

func TestOtherLoadThatBeganBeforeTheConnectionsIsNotTheirCost(t *testing.T) {
	var r Rate
	rng := rand.New(rand.NewPCG(7, 8))
	var total, cost float64
	for i := range int64(60) {
		n, used := 0, 0.0
		if i >= 15 { // idle before
			used = 95e6 + rng.NormFloat64()*1e6
		}
		if i >= 20 {
			n = 5 + rng.IntN(5)
		}
		total += used
		_, cost = r.Add(i*100e6, total, 1e9, n)
	}
	// Seven connections between two samples must not project another step.
	if cost*7 > 0.01 {
		t.Errorf("one connection seems to cost %.5f of a second", cost)
	}
}
