package membership

import (
	"testing"
	"time"
)

func TestAShortStandstillOfTheControlPlaneIsNoEvent(t *testing.T) {
	for _, d := range []time.Duration{200 * time.Millisecond, time.Second, 2900 * time.Millisecond} {
		w := running(t, 5, 1)
		w.h(2).freeze(d)
		w.run(20 * time.Second)
		if w.false > 0 || w.h(2).flushes > 0 || w.stats["suspect"] > 0 || w.stats["late"] == 0 || !w.allAnnounced() {
			t.Errorf("%v: %v", d, w.stats)
		}
	}
}

func TestANodeThatStoodForLongFlushesAndRejoinsAsNew(t *testing.T) {
	w := running(t, 5, 1)
	watchJoins(w)
	h := w.h(2)
	old := h.boot
	h.freeze(8 * time.Second)
	w.run(7 * time.Second)
	if w.h(3).state(2).State != StateUnhealthy {
		t.Errorf("others hold it for %v", w.h(3).state(2).State)
	}
	w.run(1100 * time.Millisecond)
	if h.flushes != 1 || h.boot == old || h.core.View().Nodes[1].Announce {
		t.Errorf("%d flushes, view %+v", h.flushes, h.core.View())
	}
	w.until(5*time.Second, "back", w.allAnnounced)
	if h.flushes != 1 {
		t.Errorf("%d flushes", h.flushes)
	}
}

func TestAMachineThatPausedShortlySynchronisesBeforeItIsAnnounced(t *testing.T) {
	w := running(t, 5, 1)
	watchJoins(w)
	h := w.h(2)
	h.pause(1500 * time.Millisecond)
	w.run(time.Second)
	if w.h(4).state(2).State != StateUnhealthy {
		t.Error("nobody noticed")
	}
	w.run(2 * time.Second)
	w.until(5*time.Second, "back", w.allAnnounced)
	if h.flushes > 0 || w.stats["held for dead by others"] != 1 {
		t.Errorf("%d flushes, %v", h.flushes, w.stats)
	}
}

func TestACheckerWhoseLoopIsAlwaysLateAccusesNobody(t *testing.T) {
	w := running(t, 5, 1)
	h := w.h(2)
	end := w.now + 30*time.Second
	for w.now < end {
		h.freeze(140 * time.Millisecond)
		w.run(150 * time.Millisecond)
	}
	if w.false > 0 || w.stats["suspect"] > 0 {
		t.Errorf("%v", w.stats)
	}
}

func TestTheViewIsSettledALeaseAfterTheLastChangeOfTheRing(t *testing.T) {
	w := running(t, 3, 1)
	settled := func() bool { return w.h(1).core.View().Settled }
	if d := w.until(12*time.Second, "settled", settled); d < 7*time.Second {
		t.Errorf("settled after %v", d)
	}
	w.h(2).kill()
	w.until(time.Second, "unsettled", func() bool { return !settled() })
	if d := w.until(12*time.Second, "settled again", settled); d < 9*time.Second {
		t.Errorf("settled again after %v", d)
	}
}
