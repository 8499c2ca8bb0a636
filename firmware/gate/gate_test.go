package gate

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	start  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	limits = Limits{Hold: 10 * time.Second, Deadline: 60 * time.Second, Silence: 2 * time.Second}
	good   = Observation{Dataplane: ok, Neighbours: ok, ControlPlane: ok, State: ok}
	ok     = Finding{OK: true}
)

// at is so many seconds after the begin.
func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// watch observes once a second until the gate decides, at most until the end.
func watch(g *Gate, seen func(second int) Observation) (int, Verdict) {
	for s := 1; ; s++ {
		if v := g.Observe(at(float64(s)), seen(s)); v.Decision != Wait || s > 100 {
			return s, v
		}
	}
}

// sick is good but for one finding.
func sick(change func(o *Observation)) Observation {
	o := good
	change(&o)
	return o
}

func TestAHealthyVersionIsCommittedAfterTheHold(t *testing.T) {
	if s, v := watch(New(limits, start), func(int) Observation { return good }); v.Decision != Commit || s != 11 || len(v.Reasons) > 0 {
		t.Errorf("after %d s: %+v", s, v)
	}
}

func TestEveryFaultSendsBackWithItsReason(t *testing.T) {
	for want, o := range map[string]Observation{
		"the dataplane does not forward: it crashed 3 times":            sick(func(o *Observation) { o.Dataplane = Finding{Why: "it crashed 3 times"} }),
		"the neighbours do not announce this node: 1 of 2 announces it": sick(func(o *Observation) { o.Neighbours = Finding{Why: "1 of 2 announces it"} }),
		"the control plane is not reachable":                            sick(func(o *Observation) { o.ControlPlane = Finding{} }),
		"state is not complete: 3 of 4 partitions":                      sick(func(o *Observation) { o.State = Finding{Why: "3 of 4 partitions"} }),
		"the dataplane does not forward; state is not complete":         {Neighbours: ok, ControlPlane: ok},
	} {
		if s, v := watch(New(limits, start), func(int) Observation { return o }); v.Decision != GoBack || s != 60 || v.Reason() != want {
			t.Errorf("%s: after %d s: %+v", want, s, v)
		}
	}
}

func TestHealthThatBreaksCountsFromTheBegin(t *testing.T) {
	s, v := watch(New(limits, start), func(s int) Observation {
		if s%8 == 0 && s < 30 {
			return sick(func(o *Observation) { o.Neighbours = Finding{Why: "one is away"} })
		}
		return good
	})
	if v.Decision != Commit || s != 35 {
		t.Errorf("after %d s: %+v", s, v)
	}
	s, v = watch(New(limits, start), func(s int) Observation {
		if s%8 == 0 {
			return sick(func(o *Observation) { o.Neighbours = Finding{Why: "one is away"} })
		}
		return good
	})
	if v.Decision != GoBack || s != 60 || !strings.Contains(v.Reason(), "all was well for 3s of 10s") || !strings.Contains(v.Reason(), "one is away") {
		t.Errorf("after %d s: %+v", s, v)
	}
}

func TestWhatNobodyLookedAtDoesNotCount(t *testing.T) {
	g := New(limits, start)
	g.Observe(at(1), good)
	if v := g.Observe(at(15), good); v.Decision != Wait || v.Held != 0 {
		t.Errorf("after a gap: %+v", v)
	}
	if v := g.Tick(at(40)); v.Decision != Wait || !strings.Contains(v.Reason(), "nothing was observed for 25s") {
		t.Errorf("in a gap: %+v", v)
	}
	if v := g.Tick(at(61)); v.Decision != GoBack || !strings.Contains(v.Reason(), "nothing was observed") {
		t.Errorf("at the deadline: %+v", v)
	}
	if v := New(limits, start).Tick(at(60)); v.Decision != GoBack {
		t.Errorf("without any observation: %+v", v)
	}
}

func TestADecisionIsNotChanged(t *testing.T) {
	g := New(limits, start)
	if v := g.Fail(at(3), "the configuration cannot be read"); v.Decision != GoBack || v.Reason() != "the configuration cannot be read" || v.Left != 57*time.Second {
		t.Errorf("got %+v", v)
	}
	if _, v := watch(g, func(int) Observation { return good }); v.Decision != GoBack {
		t.Errorf("got %+v", v)
	}
	g = New(limits, start)
	watch(g, func(int) Observation { return good })
	if v := g.Fail(at(20), "late"); v.Decision != Commit {
		t.Errorf("got %+v", v)
	}
	if v := g.Tick(at(90)); v.Decision != Commit {
		t.Errorf("got %+v", v)
	}
}

func TestACommitNeedsAWholeHoldInEveryHistory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		g, now, wellSince := New(limits, start), start, time.Time{}
		for {
			step := time.Duration(random.Int64N(int64(2200 * time.Millisecond)))
			if now = now.Add(step); step > limits.Silence {
				wellSince = time.Time{}
			}
			o := good
			if random.IntN(12) == 0 {
				o.State.OK = false
				wellSince = time.Time{}
			} else if wellSince.IsZero() {
				wellSince = now
			}
			v := g.Observe(now, o)
			held := !wellSince.IsZero() && now.Sub(wellSince) >= limits.Hold
			over := now.Sub(start) >= limits.Deadline
			if (v.Decision == Commit) != held || (v.Decision == GoBack) != (over && !held) {
				t.Fatalf("%v after the begin, well since %v: %+v", now.Sub(start), wellSince, v)
			}
			if v.Decision != Wait {
				break
			}
		}
	}
}

func TestLimitsThatNothingMeetsAreRefused(t *testing.T) {
	if err := DefaultLimits.Check(); err != nil {
		t.Error(err)
	}
	for _, l := range []Limits{{}, {Hold: time.Minute, Deadline: time.Minute, Silence: time.Second}, {Hold: time.Second, Deadline: time.Minute}} {
		if l.Check() == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}
