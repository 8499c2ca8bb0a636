package membership

import (
	"fmt"
	"testing"
	"time"
)

// disturb does one random thing to the cluster.
func (w *world) disturb() string {
	h := w.hosts[w.rng.IntN(len(w.hosts))]
	d := time.Duration(w.rng.Int64N(int64(5 * time.Second)))
	switch w.rng.IntN(10) {
	case 0, 1:
		if h.on {
			h.stop()
			return fmt.Sprintf("node %d is switched off", h.number)
		}
		h.start()
		return fmt.Sprintf("node %d is switched on", h.number)
	case 2:
		if h.on {
			h.stop()
		}
		h.start()
		return fmt.Sprintf("node %d is restarted", h.number)
	case 3:
		if h.noded {
			h.restartNoded()
		}
		return fmt.Sprintf("the control plane of node %d is restarted", h.number)
	case 4:
		h.newDataplane()
		return fmt.Sprintf("the dataplane of node %d is restarted", h.number)
	case 5:
		h.freeze(d)
		return fmt.Sprintf("the control plane of node %d stands for %v", h.number, d)
	case 6:
		h.pause(d)
		return fmt.Sprintf("node %d stands for %v", h.number, d)
	case 7:
		h.drained = !h.drained
		return fmt.Sprintf("node %d drains: %v", h.number, h.drained)
	case 8:
		set := w.rng.Uint64()
		w.lost = func(from, to *host, side uint8) bool { return (set>>from.number^set>>to.number)&1 == 1 }
		return fmt.Sprintf("partition %b", set>>1&(1<<len(w.hosts)-1))
	default:
		loss := w.rng.Float64() * 0.2
		w.lossy(loss)
		return fmt.Sprintf("loss of %.0f %%", loss*100)
	}
}

// Whatever has happened: when it is over, all nodes are one ring again, within
// seconds, and it lasts.
func TestAfterAnyDisturbanceAllNodesAreOneRingAgain(t *testing.T) {
	for seed := range uint64(150) {
		n := 2 + int(seed%5)
		w := running(t, n, seed)
		for range 12 {
			w.log = append(w.log, fmt.Sprintf("%v %s", w.now-time.Hour, w.disturb()))
			w.run(time.Duration(w.rng.Int64N(int64(3 * time.Second))))
		}
		w.log = append(w.log, fmt.Sprintf("%v all is well again", w.now-time.Hour))
		w.lost = nil
		for _, h := range w.hosts {
			h.drained = false
			if !h.on {
				h.start()
			}
		}
		what := fmt.Sprintf("seed %d: %d nodes are one ring", seed, n)
		w.until(15*time.Second, what, w.allAnnounced)
		w.run(15 * time.Second)
		if !w.allAnnounced() || !w.all(func(v View) bool { return v.Settled && !v.Isolated && !v.Drained }) {
			for _, l := range w.log[max(0, len(w.log)-40):] {
				t.Log(l)
			}
			t.Fatalf("seed %d: it does not last", seed)
		}
	}
}
