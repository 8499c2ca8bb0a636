package membership

import (
	"testing"
	"time"
)

// serving makes n nodes and m servers that are well.
func serving(t *testing.T, n, m int) *world {
	w := newWorld(t, n, 1)
	for i := range m {
		w.servers = append(w.servers, uint16(i+1))
		w.up[uint16(i+1)] = true
	}
	for _, h := range w.hosts {
		h.start()
	}
	w.until(10*time.Second, "announced", w.allAnnounced)
	w.until(3*time.Second, "servers are healthy", func() bool {
		return w.all(func(v View) bool {
			for _, s := range v.Servers {
				if !s.Healthy || s.Dead || s.Boot != uint64(s.Number)+100 {
					return false
				}
			}
			return true
		})
	})
	return w
}

// all reports whether something holds of every live node's view.
func (w *world) all(ok func(v View) bool) bool {
	for _, h := range w.live() {
		if !ok(h.core.View()) {
			return false
		}
	}
	return true
}

func (w *world) checkers(server int) int {
	n := 0
	for _, h := range w.live() {
		if h.core.View().Servers[server-1].Mine {
			n++
		}
	}
	return n
}

func TestEveryServerHasTwoCheckersWhoeverDies(t *testing.T) {
	w := serving(t, 6, 20)
	held := map[uint16]bool{}
	for range 4 {
		for s := 1; s <= 20; s++ {
			if n := w.checkers(s); n != 2 {
				t.Errorf("server %d has %d checkers of %d nodes", s, n, len(w.live()))
			}
		}
		for _, h := range w.live() {
			for _, s := range h.core.View().Servers {
				held[h.number] = held[h.number] || s.Mine
			}
		}
		w.h(uint16(len(w.live()))).kill()
		w.run(time.Second)
	}
	for i := range uint16(6) {
		if !held[i+1] {
			t.Errorf("node %d checks no server", i+1)
		}
	}
}

func TestAServerThatFailsGetsNoOffersAndIsDeadAfterThreeSecondsOfSilence(t *testing.T) {
	for _, n := range []int{1, 3, 100} {
		w := serving(t, n, 4)
		w.run(5 * time.Second)
		w.up[2] = false // its last sign of life was up to half a second ago
		down := w.until(6*time.Second, "no offers", func() bool { return w.all(func(v View) bool { return !v.Servers[1].Healthy }) })
		dead := down + w.until(5*time.Second, "dead", func() bool { return w.all(func(v View) bool { return v.Servers[1].Dead }) })
		t.Logf("%d nodes: no offers after %v, dead after %v", n, down, dead)
		if down < time.Second || dead < 2400*time.Millisecond || n < 10 && dead > 4500*time.Millisecond {
			t.Errorf("%d nodes: no offers after %v, dead after %v", n, down, dead)
		}
		if !w.all(func(v View) bool { return v.Servers[0].Healthy && v.Servers[2].Healthy && v.Servers[3].Healthy }) {
			t.Error("the others suffer")
		}
		w.run(20 * time.Second)
		w.up[2] = true
		if d := w.until(3*time.Second, "back", func() bool { return w.all(func(v View) bool { return v.Servers[1].Healthy && !v.Servers[1].Dead }) }); d > 2*time.Second {
			t.Errorf("%d nodes: back after %v", n, d)
		}
	}
}

func TestAServerThatStillSendsIsNotDead(t *testing.T) {
	w := serving(t, 5, 2)
	w.up[1] = false
	busy := w.h(1)
	for range 300 { // one node's dataplane sees its packets
		busy.core.ServerLife(w.now, 1, 0)
		w.run(100 * time.Millisecond)
		if !w.all(func(v View) bool { return !v.Servers[0].Dead }) {
			t.Fatal("dead")
		}
	}
	if !w.all(func(v View) bool { return !v.Servers[0].Healthy }) {
		t.Error("it gets offers")
	}
	w.until(5*time.Second, "dead", func() bool { return w.all(func(v View) bool { return v.Servers[0].Dead }) })
}

func TestADeadServerIsNotRevivedByNodesThatStart(t *testing.T) {
	w := serving(t, 3, 1)
	w.run(30 * time.Second)
	w.up[1] = false
	w.run(8 * time.Second)
	ups := w.stats["server up"]
	for _, h := range w.hosts {
		h.restartNoded()
		w.run(3 * time.Second)
	}
	w.run(8 * time.Second)
	if w.stats["server up"] != ups || !w.all(func(v View) bool { return v.Servers[0].Dead }) {
		t.Errorf("revived %d times", w.stats["server up"]-ups)
	}
	w.up[1] = true
	w.until(2*time.Second, "back", func() bool { return w.all(func(v View) bool { return v.Servers[0].Healthy }) })
}

func TestARestartedCheckerDoesNotDisturbServers(t *testing.T) {
	w := serving(t, 3, 6)
	w.run(10 * time.Second)
	w.check = func(h *host) {
		if v := h.core.View(); v.Learned {
			for _, s := range v.Servers {
				if !s.Healthy || s.Dead {
					t.Errorf("node %d holds server %d for %+v", h.number, s.Number, s)
				}
			}
		}
	}
	for _, h := range w.hosts {
		h.restartNoded()
		w.run(5 * time.Second)
	}
}

func TestServersAreToldOfAChangeAtOnceAndEverySecond(t *testing.T) {
	w := serving(t, 3, 1)
	w.run(3 * time.Second)
	pushes := func() int { return w.h(1).pushes + w.h(2).pushes }
	before := pushes() + w.h(3).pushes
	w.run(10 * time.Second)
	if n := pushes() + w.h(3).pushes - before; n < 19 || n > 21 {
		t.Errorf("%d pushes in 10 s", n)
	}
	w.h(3).kill()
	w.until(time.Second, "dead", func() bool { return w.h(1).state(3).State == StateUnhealthy && w.h(2).state(3).State == StateUnhealthy })
	before = pushes()
	w.run(30 * time.Millisecond)
	if n := pushes() - before; n > 2 {
		t.Errorf("%d pushes", n)
	}
	w.run(1100 * time.Millisecond)
	if n := pushes() - before; n < 2 {
		t.Errorf("only %d pushes", n)
	}
}

func TestANodeThatIsCutOffLearnsNothingAboutServers(t *testing.T) {
	w := serving(t, 5, 3)
	w.up[3] = false
	w.until(8*time.Second, "dead", func() bool { return w.all(func(v View) bool { return v.Servers[2].Dead }) })
	h := w.h(2)
	w.lost = func(from, to *host, side uint8) bool { return from == h || to == h }
	up := w.up
	w.up = map[uint16]bool{} // nothing reaches it; what the others see meanwhile does not matter here
	w.until(6*time.Second, "isolated", func() bool { return h.core.View().Isolated })
	w.check = func(o *host) {
		if o != h {
			return
		}
		if s := h.core.View().Servers; !s[0].Healthy || s[0].Dead || !s[1].Healthy || s[2].Healthy || !s[2].Dead {
			t.Errorf("it holds the servers for %+v", s)
		}
	}
	w.run(10 * time.Second)
	w.lost, w.up = nil, up
	w.until(5*time.Second, "back", w.allAnnounced)
	w.run(5 * time.Second)
}
