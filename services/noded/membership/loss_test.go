package membership

import (
	"math"
	"slices"
	"testing"
	"time"
)

// lossy loses every datagram with a probability.
func (w *world) lossy(p float64) {
	w.lost = func(from, to *host, side uint8) bool { return w.rng.Float64() < p }
}

// missChance is the chance that a check is missed although the node lives: one
// of its directions fails twice, and each try is two datagrams.
func missChance(loss float64) float64 {
	try := 1 - (1-loss)*(1-loss)
	return 1 - math.Pow(1-try*try, 2)
}

// A day of 100 nodes at 1 % loss (S-57) is too long to play. Two things stand
// for it. A minute is played as it is. And a false death takes at least three
// misses in a row by a neighbour: at 10 % loss there are so many more of them that
// 30 s hold as many as more than two hundred days at 1 %. Second opinions must stop
// all of these, although they too get lost ten times as often.
func TestLossKillsNobody(t *testing.T) {
	const played = 30 * time.Second
	days := played.Hours() / 24 * math.Pow(missChance(0.10)/missChance(0.01), 3)
	t.Logf("%v at 10 %% stand for %.0f days at 1 %%", played, days)
	if days < 100 {
		t.Error("that is too short")
	}
	w := running(t, 100, 1)
	for _, c := range []struct {
		loss float64
		d    time.Duration
	}{{0.01, time.Minute}, {0.10, played}} {
		w.lossy(c.loss)
		w.run(c.d)
		if w.false > 0 || w.stats["suspect"] > 0 || w.stats["isolated"] > 0 || !w.allAnnounced() {
			t.Errorf("at %.0f %%: %d false verdicts: %v", c.loss*100, w.false, w.stats)
		}
	}
}

func TestDeathsAmongAHundredNodesAreKnownInASecondDespiteLoss(t *testing.T) {
	w := running(t, 100, 2)
	w.lossy(0.01)
	var first, all []time.Duration
	for i := range 20 {
		h := w.h(uint16(i*37%100 + 1))
		h.kill()
		w.run(1500 * time.Millisecond)
		k := w.known[len(w.known)-1].by
		least, most := time.Hour, time.Duration(0)
		for _, d := range k {
			least, most = min(least, d), max(most, d)
		}
		if len(k) != 99 {
			most = time.Hour
		}
		first, all = append(first, least), append(all, most)
		h.start()
		w.until(8*time.Second, "back", w.allAnnounced)
	}
	slices.Sort(first)
	slices.Sort(all)
	t.Logf("known to the first after %v at the median, %v at most; to all after %v and %v", first[10], first[19], all[10], all[19])
	if first[10] > soon || all[19] > time.Second {
		t.Error("too late")
	}
	if w.false > 0 {
		t.Errorf("%d false verdicts", w.false)
	}
}
