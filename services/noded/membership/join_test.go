package membership

import (
	"slices"
	"testing"
	"time"

	"weir/dataplane/wire"
)

func TestALoneNodeIsAnnouncedAfterTwoPublishingIntervals(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.h(1).start()
	if d := w.until(10*time.Second, "announced", w.allAnnounced); d < 2*time.Second || d > 3*time.Second {
		t.Errorf("after %v", d)
	}
}

func TestAClusterThatIsSwitchedOnIsAnnouncedAfterTwoPublishingIntervals(t *testing.T) {
	for _, n := range []int{2, 3, 5, 100} {
		w := newWorld(t, n, 1)
		for _, h := range w.hosts {
			h.start()
		}
		if d := w.until(10*time.Second, "announced", w.allAnnounced); d < 2*time.Second || d > 3500*time.Millisecond {
			t.Errorf("%d nodes after %v", n, d)
		}
	}
}

// watchJoins fails the test when a node is announced that has no state yet, or
// goes back and forth on its way in.
func watchJoins(w *world) {
	was := map[*host]uint8{}
	for _, h := range w.live() {
		_, was[h] = h.core.Flags()
	}
	w.check = func(h *host) {
		_, f := h.core.Flags()
		if f == was[h] {
			return
		}
		old := was[h]
		was[h] = f
		if f&wire.NodeAnnounce == 0 || old&wire.NodeAnnounce != 0 {
			return
		}
		if old != wire.NodeTrack|wire.NodeSpeak {
			w.t.Errorf("node %d is announced after flags %s", h.number, flagNames(old))
		}
		others := false
		for _, o := range w.live() {
			others = others || o != h && h.state(o.number).Announce
		}
		for _, o := range w.live() {
			if others && h.state(o.number).Track && o.synced != h.core.View().Epoch {
				w.t.Errorf("node %d is announced before %d has sent it what it has", h.number, o.number)
			}
		}
	}
}

func TestAJoiningNodeIsAnnouncedOnlyWhenItHasAllState(t *testing.T) {
	for _, n := range []int{2, 3, 5, 20} {
		w := newWorld(t, n, uint64(n))
		for _, h := range w.hosts[1:] {
			h.start()
		}
		w.until(10*time.Second, "the others are announced", w.allAnnounced)
		watchJoins(w)
		slow := w.h(2)
		slow.sync = 1500 * time.Millisecond
		w.h(1).start()
		w.run(200 * time.Millisecond)
		if d := w.until(5*time.Second, "announced", w.allAnnounced); d < 1500*time.Millisecond || d > 2500*time.Millisecond {
			t.Errorf("%d nodes: announced %v after the start", n, d)
		}
	}
}

func TestNodesThatJoinTogetherAreAllAnnounced(t *testing.T) {
	w := newWorld(t, 8, 3)
	for _, h := range w.hosts[:4] {
		h.start()
	}
	w.until(10*time.Second, "four are announced", w.allAnnounced)
	watchJoins(w)
	for _, h := range w.hosts[4:] {
		h.start()
		w.run(70 * time.Millisecond)
	}
	w.until(5*time.Second, "all are announced", w.allAnnounced)
}

func TestANodeLeavesUnannouncedFirstThenTheRingAndComesBack(t *testing.T) {
	w := running(t, 5, 2)
	watchJoins(w)
	h, other := w.h(3), w.h(5)
	h.drained = true
	w.until(500*time.Millisecond, "unannounced", func() bool { return !other.state(3).Announce })
	if n := other.state(3); !n.Track || !n.Speak || !n.Egress || !n.Leaving {
		t.Errorf("unannounced it is %+v", n)
	}
	if d := w.until(3*time.Second, "out of the ring", func() bool { return !other.state(3).Track }); d < 1800*time.Millisecond {
		t.Errorf("out of the ring after %v: routers had no time", d)
	}
	if h.core.View().Drained {
		t.Error("drained before the others have synchronised")
	}
	w.until(time.Second, "drained", func() bool { return h.core.View().Drained })
	for _, o := range w.live() {
		if o.synced != h.core.View().Epoch {
			t.Errorf("drained before %d had synchronised", o.number)
		}
		if n := o.state(3); n.State != StateHealthy || n.Track || n.Speak || n.Egress {
			t.Errorf("drained it is %+v", n)
		}
	}
	w.run(10 * time.Second)
	h.drained = false
	w.until(2*time.Second, "back", w.allAnnounced)
	if h.core.View().Drained {
		t.Error("drained although it is back")
	}
}

func TestOthersNoticeNothingOfARestartOfTheControlPlane(t *testing.T) {
	for _, n := range []int{1, 2, 5, 100} {
		w := running(t, n, 9)
		w.run(12 * time.Second)
		views := map[uint16]uint64{}
		for _, h := range w.live() {
			views[h.number] = h.core.View().Version
		}
		h := w.h(1)
		epoch := h.core.View().Epoch
		w.check = func(h *host) {
			if v := h.core.View(); v.Learned && v.Epoch != epoch {
				t.Errorf("%d nodes: node %d is in another ring", n, h.number)
			}
		}
		h.restartNoded()
		d := w.until(3*time.Second, "learned", func() bool { return h.core.View().Learned })
		if n > 1 && d > time.Second {
			t.Errorf("%d nodes: learned after %v", n, d)
		}
		w.run(5 * time.Second)
		for _, o := range w.live() {
			if o != h && o.core.View().Version != views[o.number] {
				t.Errorf("%d nodes: the view of node %d has changed to %+v", n, o.number, o.core.View())
			}
		}
		if !w.allAnnounced() || w.false > 0 {
			t.Errorf("%d nodes: not as before", n)
		}
	}
}

func TestAllControlPlanesRestartAtOnceAndTheRingStands(t *testing.T) {
	for _, n := range []int{2, 5, 100} {
		w := running(t, n, 4)
		epoch := w.h(1).core.View().Epoch
		wrong := 0
		w.check = func(h *host) {
			if v := h.core.View(); v.Learned && v.Epoch != epoch {
				wrong++
			}
		}
		for _, h := range w.hosts {
			h.restartNoded()
		}
		w.run(5 * time.Second)
		if wrong > 0 || !w.allAnnounced() {
			t.Errorf("%d nodes: for %d ticks the ring was another one", n, wrong)
		}
	}
}

func TestARestartQuickerThanDetectionIsADeathAndAJoin(t *testing.T) {
	for _, n := range []int{2, 3, 100} {
		w := running(t, n, 6)
		watchJoins(w)
		h := w.h(2)
		old := h.boot
		h.stop()
		h.start()
		d := w.until(time.Second, "all know the new life", func() bool {
			for _, o := range w.live() {
				if o != h && (o.state(2).Boot == old || o.state(2).Announce) {
					return false
				}
			}
			return true
		})
		if d > 700*time.Millisecond {
			t.Errorf("%d nodes: known after %v", n, d)
		}
		w.until(3*time.Second, "announced", w.allAnnounced)
	}
}

func TestADataplaneThatIsStartedAnewJoinsAnew(t *testing.T) {
	w := running(t, 5, 7)
	watchJoins(w)
	h := w.h(4)
	h.newDataplane()
	w.until(time.Second, "nobody counts on it", func() bool {
		for _, o := range w.live() {
			if n := o.state(4); n.Boot != h.boot || n.Announce {
				return false
			}
		}
		return true
	})
	w.until(3*time.Second, "announced", w.allAnnounced)
}

func TestAMachineThatBootsWithAYoungerClockIsBelieved(t *testing.T) {
	w := running(t, 3, 8)
	h := w.h(1)
	h.stop()
	w.run(3 * time.Second)
	h.start()
	h.core.own.record.Version = 0
	w.h(2).core.byNum[1].record.Version += uint64(24 * time.Hour) // of when it had been up for a day
	w.until(5*time.Second, "announced", w.allAnnounced)
}

func TestEverythingIsSwitchedOffAndOnAgain(t *testing.T) {
	w := running(t, 5, 10)
	for _, h := range w.hosts {
		h.stop()
	}
	for _, h := range w.hosts {
		h.start()
	}
	w.run(500 * time.Millisecond)
	for _, h := range w.hosts {
		for _, n := range h.core.View().Nodes {
			if n.Announce {
				t.Errorf("node %d holds %d for announced", h.number, n.Number)
			}
		}
	}
	w.until(4*time.Second, "announced", w.allAnnounced)
}

func TestWhoAnnouncesANodeIsKnownEverywhereForAsLongAsItLives(t *testing.T) {
	w := running(t, 4, 1)
	announcers := func(h *host, of uint16) (by []uint16) {
		for _, a := range h.core.View().Announced {
			if a.Node == of {
				by = append(by, a.By)
			}
		}
		return by
	}
	all := func(want ...uint16) func() bool {
		return func() bool {
			for _, h := range w.live() {
				if !slices.Equal(announcers(h, 2), want) {
					return false
				}
			}
			return true
		}
	}
	w.h(1).core.Announces(w.now, [2]uint16{4, 2})
	w.h(3).core.Announces(w.now, [2]uint16{2, 4})
	w.until(200*time.Millisecond, "both announcers are known", all(1, 3))
	w.h(1).core.Announces(w.now, [2]uint16{4, 0})
	w.until(200*time.Millisecond, "one has closed its session", all(3))
	w.h(3).kill()
	w.until(time.Second, "the other one is dead", all())
}
