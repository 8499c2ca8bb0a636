package membership

import (
	"fmt"
	"testing"
	"time"

	"weir/dataplane/wire"
)

// judged fails the test unless every live node knew of every kill in time.
func judged(t *testing.T, w *world, neighbours, all time.Duration) {
	t.Helper()
	for _, k := range w.known {
		first := time.Hour
		for _, h := range w.live() {
			d, ok := k.by[h.number]
			if !ok || d > all {
				t.Errorf("node %d knew of the death of %d after %v", h.number, k.number, d)
			}
			if ok {
				first = min(first, d)
			}
		}
		if first > neighbours {
			t.Errorf("the first to know of the death of %d knew after %v", k.number, first)
		}
	}
	if w.false > 0 {
		t.Errorf("%d verdicts on nodes that live", w.false)
	}
}

// The next check comes within an interval, and the answer of the last one is
// waited for: 300 ms after the next check is at most 400 ms after the kill.
const soon = 405 * time.Millisecond

func TestADeathIsKnownToNeighboursAtOnceAndToAllWithinASecond(t *testing.T) {
	for _, n := range []int{2, 3, 5, 100} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(n, " ", seed), func(t *testing.T) {
				w := running(t, n, seed)
				w.h(uint16(n/2 + 1)).kill()
				w.run(time.Second)
				judged(t, w, soon, time.Second)
				if n > 2 && w.h(1).core.View().Isolated {
					t.Error("isolated")
				}
			})
		}
	}
}

func TestTheNextInLineTakeOverTheChecksOfADeadNode(t *testing.T) {
	w := running(t, 5, 1)
	w.h(3).kill()
	w.run(time.Second)
	for _, c := range []struct{ node, left, right uint16 }{{2, 1, 4}, {4, 2, 5}, {1, 5, 2}} {
		l, r := w.h(c.node).core.neighbours()
		if l.number != c.left || r.number != c.right {
			t.Errorf("node %d checks %d and %d", c.node, l.number, r.number)
		}
	}
	w.h(4).kill()
	w.run(time.Second)
	judged(t, w, soon, time.Second)
}

func TestTwoNodesDieAtOnce(t *testing.T) {
	for _, c := range []struct {
		what string
		n    int
		a, b uint16
	}{
		{"two adjacent of four", 4, 2, 3},
		{"two adjacent of five", 5, 2, 3},
		{"first and last of five", 5, 1, 5},
		{"two of five that are not adjacent", 5, 2, 4},
		{"two adjacent of a hundred", 100, 50, 51},
		{"two of a hundred with one between", 100, 50, 52},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := running(t, c.n, 3)
			w.h(c.a).kill()
			w.h(c.b).kill()
			w.run(time.Second)
			judged(t, w, soon, time.Second)
			w.h(c.a).start()
			w.h(c.b).start()
			w.until(5*time.Second, "back", w.allAnnounced)
		})
	}
}

func TestANodeThatHearsNothingOnOneSideIsDead(t *testing.T) {
	for side := range 2 {
		for _, n := range []int{3, 5} {
			w := serving(t, n, 4)
			h := w.h(2)
			h.deaf[side] = true
			for _, o := range w.live() {
				if o != h {
					w.until(time.Second, "dead", func() bool { return o.state(2).State == StateUnhealthy })
				}
			}
			w.run(300 * time.Millisecond)
			if w.h(1).core.View().Isolated || !h.core.View().Isolated {
				t.Error("the dead node does not know that it is cut off, or others believe it of themselves")
			}
			pushes := h.pushes
			w.run(3 * time.Second)
			if h.pushes != pushes {
				t.Error("a node that is dead for the others tells servers who is healthy")
			}
			h.deaf[side] = false
			watchJoins(w)
			w.until(5*time.Second, "back", w.allAnnounced)
		}
	}
}

func TestLossBetweenTwoNodesKillsNeither(t *testing.T) {
	for _, both := range []bool{true, false} {
		w := running(t, 5, 5)
		w.lost = func(from, to *host, side uint8) bool {
			return from.number == 2 && to.number == 3 || both && from.number == 3 && to.number == 2
		}
		w.run(time.Minute)
		if w.false > 0 || w.stats["suspect"] > 0 || !w.allAnnounced() {
			t.Errorf("both ways %v: %v", both, w.stats)
		}
	}
}

func TestAPartitionHealsToOneRing(t *testing.T) {
	w := running(t, 5, 6)
	w.run(11 * time.Second)
	w.lost = func(from, to *host, side uint8) bool { return (from.number <= 2) != (to.number <= 2) }
	w.until(10*time.Second, "both halves see each other dead", func() bool {
		for _, h := range w.live() {
			for _, n := range h.core.View().Nodes {
				if (n.State == StateHealthy) != ((n.Number <= 2) == (h.number <= 2)) {
					return false
				}
			}
		}
		return true
	})
	w.run(30 * time.Second)
	w.lost = nil
	w.until(10*time.Second, "one ring", w.allAnnounced)
}

func TestANodeThatIsCutOffKnows(t *testing.T) {
	w := running(t, 5, 6)
	h := w.h(3)
	w.lost = func(from, to *host, side uint8) bool { return from == h || to == h }
	w.until(6*time.Second, "isolated", func() bool { return h.core.View().Isolated })
	w.run(10 * time.Second)
	if _, f := h.core.Flags(); !h.core.View().Isolated || f&wire.NodeAnnounce != 0 {
		t.Error("it believes that all others are gone")
	}
	if !w.h(4).core.View().Nodes[0].Announce || w.h(4).core.View().Isolated {
		t.Error("the others are disturbed")
	}
	w.lost = nil
	watchJoins(w)
	w.check = func(o *host) {
		if _, f := o.core.Flags(); o != h && f&wire.NodeAnnounce == 0 {
			t.Errorf("%d is told that it was dead, by who was itself cut off", o.number)
		}
	}
	w.until(5*time.Second, "back", w.allAnnounced)
	if h.core.View().Isolated {
		t.Error("still isolated")
	}
}

func TestTheSurvivorOfTwoIsNotIsolated(t *testing.T) {
	w := running(t, 2, 6)
	w.h(2).kill()
	w.run(time.Second)
	v := w.h(1).core.View()
	if _, f := w.h(1).core.Flags(); v.Isolated || f&wire.NodeAnnounce == 0 {
		t.Errorf("%+v", v)
	}
}

func TestTheSurvivorOfThreeFindsThatItsWayThroughTheRouterWorks(t *testing.T) {
	w := running(t, 3, 6)
	w.h(2).stop()
	w.h(3).stop()
	w.until(15*time.Second, "announced again", func() bool {
		v := w.h(1).core.View()
		return !v.Isolated && v.Nodes[1].State == StateUnhealthy && v.Nodes[2].State == StateUnhealthy && v.Nodes[0].Announce
	})
}

func TestWhoReachesTheRouterButNothingOnTheFabricIsNoSurvivor(t *testing.T) {
	w := serving(t, 3, 6)
	w.h(2).stop()
	w.h(3).stop()
	w.up = map[uint16]bool{}
	w.until(6*time.Second, "isolated", func() bool { return w.h(1).core.View().Isolated })
	w.check = func(o *host) {
		if v := o.core.View(); o == w.h(1) && (!v.Isolated || v.Nodes[0].Announce) {
			t.Errorf("%+v", v)
		}
	}
	w.run(10 * time.Second)
}

func TestAStaleDeathIsRefuted(t *testing.T) {
	w := running(t, 5, 2)
	w.run(20 * time.Second)
	victim := w.h(2)
	for _, old := range []uint64{1, 60, 100} {
		p := w.h(4).core.byNum[2]
		w.h(4).core.flood(wire.Death{Number: 2, By: 4, Boot: victim.boot, Beats: p.beats - min(p.beats-1, old)})
		w.run(3 * time.Second)
		if !w.allAnnounced() && old >= 100 {
			t.Errorf("a death that is %d heartbeats old counts", old)
		}
		w.until(3*time.Second, "refuted", w.allAnnounced)
	}
	if victim.flushes > 0 {
		t.Error("it lost its flows")
	}
}

func TestAFalseDeathIsRefutedAndSynchronised(t *testing.T) {
	for _, n := range []int{3, 100} {
		w := running(t, n, 2)
		w.run(20 * time.Second)
		watchJoins(w)
		victim := w.h(2)
		for _, h := range w.hosts {
			if h != victim { // all believe it
				p := h.core.byNum[2]
				h.core.die(p, wire.Death{Number: 2, By: 1, Boot: victim.boot, Beats: p.beats})
			}
		}
		w.run(10 * time.Millisecond)
		d := w.until(5*time.Second, "alive", func() bool {
			for _, h := range w.hosts {
				if h.state(2).State != StateHealthy {
					return false
				}
			}
			return true
		})
		if d > 1500*time.Millisecond {
			t.Errorf("%d nodes: refuted after %v", n, d)
		}
		w.until(5*time.Second, "announced", w.allAnnounced)
		if w.stats["held for dead by others"] != 1 {
			t.Errorf("%d nodes: it took note of %d deaths", n, w.stats["held for dead by others"])
		}
	}
}

func TestANodeWhoseOwnDataplaneIsSilentJudgesNobody(t *testing.T) {
	for _, n := range []int{2, 3, 5} {
		w := running(t, n, 3)
		h := w.h(1)
		h.paused = w.now + 6*time.Second
		w.run(5 * time.Second)
		for _, o := range w.live() {
			if o == h {
				continue
			}
			if o.state(1).State != StateUnhealthy || !o.state(o.number).Announce {
				t.Errorf("%d nodes: %d holds %+v", n, o.number, o.core.View().Nodes)
			}
		}
		if w.stats["dead"] != n-1 {
			t.Errorf("%d nodes: %v", n, w.stats)
		}
		w.check = func(o *host) {
			if o != h && !o.state(o.number).Announce {
				t.Errorf("%d nodes: %d steps back", n, o.number)
			}
		}
		w.until(10*time.Second, "back", w.allAnnounced)
		if w.stats["held for dead by others"] != 1 {
			t.Errorf("%d nodes: %v", n, w.stats)
		}
	}
}

func TestOfTwoNodesThatLostEachOtherOneStaysAnnounced(t *testing.T) {
	w := running(t, 2, 3)
	w.lost = func(from, to *host, side uint8) bool { return from != to }
	w.run(8 * time.Second)
	w.lost = nil
	w.check = func(h *host) {
		if !w.h(1).state(1).Announce {
			t.Error("nobody is announced")
		}
	}
	w.run(20 * time.Millisecond)
	w.until(5*time.Second, "both", w.allAnnounced)
}
