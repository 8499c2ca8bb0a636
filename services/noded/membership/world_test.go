package membership

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weir/dataplane/wire"
)

// world runs many Cores on one queue of datagrams, in virtual time.
type world struct {
	t     *testing.T
	now   time.Duration
	rng   *rand.Rand
	queue queue
	seq   uint64
	hosts []*host // by number, from 1
	boots uint64

	servers []uint16
	up      map[uint16]bool // servers that answer
	// lost says whether a datagram is lost; side is a ping's or pong's, else 2.
	lost  func(from, to *host, side uint8) bool
	false int            // verdicts on nodes that live
	known []knowledge    // of deaths that were made with kill
	log   []string       // all events
	check func(h *host)  // after each tick
	stats map[string]int // by kind of event
}

// knowledge is when a node's death was known.
type knowledge struct {
	number uint16
	boot   uint64
	at     time.Duration
	by     map[uint16]time.Duration
}

// host is a machine with one node.
type host struct {
	w      *world
	number uint16
	core   *Core
	on     bool          // power
	noded  bool          // control plane runs
	froze  time.Duration // since when the control plane stands still
	frozen time.Duration // until when
	life   int           // of the control plane; stale timers of another life are void

	boot, nodedBoot uint64
	seq             uint64
	force, synced   uint32
	applied         uint64 // version of the view
	paused          time.Duration
	deaf            [2]bool       // to requests on a side
	sync            time.Duration // how long the dataplane takes to synchronise
	drained         bool
	pushes          int
	flushes         int
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return e
}

// after does something later.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, do})
}

// newWorld makes n nodes that are switched off.
func newWorld(t *testing.T, n int, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Hour, stats: map[string]int{}, up: map[uint16]bool{}}
	for i := range n {
		w.hosts = append(w.hosts, &host{w: w, number: uint16(i + 1), sync: 100 * time.Millisecond})
	}
	return w
}

// running makes n nodes that have all joined.
func running(t *testing.T, n int, seed uint64) *world {
	w := newWorld(t, n, seed)
	for _, h := range w.hosts {
		h.start()
	}
	w.until(15*time.Second, "all are announced", w.allAnnounced)
	return w
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now + d
	for len(w.queue) > 0 && w.queue[0].at <= end {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

// until lets time pass until ok holds, and returns how long that took.
func (w *world) until(limit time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	begin := w.now
	for !ok() {
		if w.now-begin > limit {
			for _, l := range w.log[max(0, len(w.log)-60):] {
				w.t.Log(l)
			}
			w.t.Fatalf("%s: not within %v", what, limit)
		}
		w.run(5 * time.Millisecond)
	}
	return w.now - begin
}

func (w *world) h(number uint16) *host { return w.hosts[number-1] }

func (w *world) live() []*host {
	var out []*host
	for _, h := range w.hosts {
		if h.on && h.noded {
			out = append(out, h)
		}
	}
	return out
}

// allAnnounced reports that all live nodes see all live nodes announced, in one ring.
func (w *world) allAnnounced() bool {
	live := w.live()
	for _, h := range live {
		v := h.core.View()
		n := 0
		for _, m := range v.Nodes {
			if m.Announce && m.Track {
				n++
			}
		}
		if n != len(live) || v.Epoch != live[0].core.View().Epoch || h.synced != v.Epoch {
			return false
		}
	}
	return true
}

// state is what h holds of a node.
func (h *host) state(number uint16) NodeView { return h.core.View().Nodes[number-1] }

// start switches the machine on.
func (h *host) start() {
	h.on = true
	h.newDataplane()
	h.startNoded()
}

func (h *host) newDataplane() {
	h.w.boots++
	h.boot, h.force, h.synced = 0xda7a0000+h.w.boots, 0, 0
}

func (h *host) startNoded() { h.run(0) }

// restartNoded is a restart of the control plane alone.
func (h *host) restartNoded() {
	_, flags := h.core.Flags()
	h.run(flags)
}

func (h *host) run(resume uint8) {
	w := h.w
	w.boots++
	h.nodedBoot, h.seq, h.applied = 0xc0de0000+w.boots, 0, 0
	h.noded, h.frozen = true, 0
	h.life++
	var nodes []Node
	for i := range w.hosts {
		nodes = append(nodes, Node{Number: uint16(i + 1), Tracker: true})
	}
	h.core = New(Config{Self: h.number, Noded: h.nodedBoot, Nodes: nodes, Servers: w.servers},
		rand.New(rand.NewPCG(w.rng.Uint64(), 2)), h)
	if resume != 0 {
		h.core.Resume(h.boot, resume)
	}
	life := h.life
	w.after(time.Duration(w.rng.Int64N(int64(100*time.Millisecond))), func() { h.tick(life) })
	w.after(time.Duration(w.rng.Int64N(int64(100*time.Millisecond))), func() { h.beat(life) })
}

// stop switches the machine off.
func (h *host) stop() { h.on, h.noded = false, false }

// kill stops the machine and watches who gets to know.
func (h *host) kill() {
	h.w.known = append(h.w.known, knowledge{h.number, h.boot, h.w.now, map[uint16]time.Duration{}})
	h.stop()
}

func (h *host) tick(life int) {
	if !h.noded || h.life != life {
		return
	}
	if h.frozen > h.w.now {
		h.w.after(h.frozen-h.w.now, func() { h.tick(life) })
		return
	}
	h.core.Tick(h.w.now)
	if h.w.check != nil {
		h.w.check(h)
	}
	if v := h.core.View(); v.Learned && v.Version != h.applied {
		h.applied = v.Version
		h.apply(v.Epoch)
	}
	h.w.after(h.core.Step(), func() { h.tick(life) })
}

// apply gives the dataplane its ring: in force soon, synchronised later.
func (h *host) apply(epoch uint32) {
	boot := h.boot
	h.w.after(10*time.Millisecond, func() {
		if h.boot == boot && h.force != epoch {
			h.force = epoch
			h.w.after(h.sync, func() {
				if h.boot == boot && h.force == epoch {
					h.synced = epoch
				}
			})
		}
	})
}

// beat is what the rim hears of its dataplane, every 100 ms.
func (h *host) beat(life int) {
	if !h.noded || h.life != life {
		return
	}
	if h.frozen > h.w.now {
		h.w.after(h.frozen-h.w.now, func() { h.beat(life) })
		return
	}
	_, flags := h.core.Flags()
	if h.paused <= h.w.now {
		h.core.Dataplane(h.w.now, h.boot, h.force, h.synced)
	}
	h.core.Sessions(h.w.now, flags&wire.NodeSpeak != 0)
	h.core.Drain(h.w.now, h.drained)
	h.w.after(100*time.Millisecond, func() { h.beat(life) })
}

// delay is how long a datagram takes.
func (w *world) delay() time.Duration {
	return 200*time.Microsecond + time.Duration(w.rng.Int64N(int64(300*time.Microsecond)))
}

func (w *world) isLost(from, to *host, side uint8) bool {
	return w.lost != nil && w.lost(from, to, side)
}

func (h *host) Ping(node uint16, side uint8, nonce uint64, worker uint8) {
	w, to := h.w, h.w.h(node)
	life := h.life
	if w.isLost(h, to, side) {
		return
	}
	w.after(w.delay(), func() {
		if !to.answers() || to.deaf[side] || w.isLost(to, h, 1-side) {
			return
		}
		a := Pong{Node: node, Side: side, Nonce: nonce, Boot: to.boot, Noded: to.nodedBoot}
		w.after(w.delay(), func() {
			if h.noded && h.life == life {
				h.whenAwake(func() { h.core.Pong(w.now, a) })
			}
		})
	})
}

// grace is how long a dataplane answers without its control plane (S-52).
const grace = 3 * time.Second

// freeze stops the control plane for a while; pause stops the dataplane with it.
func (h *host) freeze(d time.Duration) { h.froze, h.frozen = h.w.now, h.w.now+d }

func (h *host) pause(d time.Duration) {
	h.freeze(d)
	h.paused = h.frozen
}

// answers reports whether the dataplane answers pings.
func (h *host) answers() bool {
	return h.on && h.w.now >= h.paused && (h.frozen <= h.w.now || h.w.now-h.froze < grace)
}

// whenAwake does something at once or when h goes on: datagrams wait in sockets.
func (h *host) whenAwake(do func()) {
	if h.frozen > h.w.now {
		h.w.after(h.frozen-h.w.now, do)
		return
	}
	do()
}

func (h *host) Gossip(node uint16, d []byte) {
	w, to := h.w, h.w.h(node)
	h.seq++
	hd := wire.Header{Type: wire.MsgGossip, Role: wire.RoleNode, Sender: h.number, Boot: h.nodedBoot, Seq: h.seq}
	if len(d) > wire.MaxGossip {
		w.t.Errorf("%d bytes of gossip", len(d))
	}
	if w.isLost(h, to, 2) {
		return
	}
	d = append([]byte(nil), d...)
	d[1] = wire.MsgGossip
	w.after(w.delay(), func() {
		if !to.noded {
			return
		}
		life := to.life
		to.whenAwake(func() {
			if to.life != life || !to.noded {
				return
			}
			if err := to.core.Gossip(w.now, &hd, d); err != nil {
				w.stats[err.Error()]++
			}
		})
	})
}

func (h *host) CheckServer(server uint16) {
	w, life := h.w, h.life
	w.after(w.delay(), func() {
		if h.noded && h.life == life {
			ok := w.up[server]
			h.core.ServerResult(w.now, server, ok, ok, uint64(server)+100)
		}
	})
}

func (h *host) PushNodes(uint16) { h.pushes++ }

func (h *host) Flush() {
	h.flushes++
	h.newDataplane()
}

func (h *host) Event(e Event) {
	w := h.w
	w.stats[e.Kind.String()]++
	w.log = append(w.log, fmt.Sprintf("%v node %d: %v", w.now-time.Hour, h.number, e))
	if e.Kind == Died || e.Kind == Expired {
		if victim := w.h(e.Number); victim.on && victim.boot == e.Boot {
			w.false++
		}
		for _, k := range w.known {
			if k.number == e.Number && k.boot == e.Boot {
				if _, ok := k.by[h.number]; !ok {
					k.by[h.number] = w.now - k.at
				}
			}
		}
	}
}
