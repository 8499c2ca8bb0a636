package lbnode

import (
	"fmt"
	"sync/atomic"

	"weir/dataplane/flow"
	"weir/dataplane/hashring"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
)

// Worker is one fast core's share of the node: it owns every flow that hashes
// to it, in all roles, and nothing else touches its state.
type Worker struct {
	index int
	io    IO
	cfg   *Config
	view  *view
	seed  flow.Seed // of all its tables: one hash per packet serves them all
	now   int64     // ns, as of the current Burst or Tick
	seq   uint64

	mapped  *flow.Table // ingress: flow to server
	tracked *flow.Table // tracker: committed mappings

	half       *flow.Table // tracker: before the commit
	halfState  []halfOpen
	halfTimers *wheel

	pending       *flow.Table // ingress: waiting for an answer
	pendingState  []pending
	pendingTimers *wheel
	held          heldPool

	local  []wire.Tracker // messages to this worker's own roles
	scores []float64      // scratch of the ranking

	resync   resync
	sessions [2]sessions // by role
	synced   atomic.Uint32
	seen     seenTicks // packets of servers

	floods   bucket // SYNs that are answered through the trackers
	unknowns bucket // queries for packets that no cookie vouches for
	repeats  bucket
	resets   bucket
	busyTill int64 // ns: a primary is full, answer cookies until then

	burst    burstScratch
	count    Counters
	messages MessageCounters
}

// Rates of one worker, per second. Beyond them a SYN is answered statelessly,
// and a packet of an unknown flow dropped.
const (
	synRate     = 60000
	synBurst    = 8192
	unknownRate = 20000
	busyPause   = 50e6 // ns
)

// NewWorker allocates a worker with all the memory it will ever use. seed keys
// its tables; it is this worker's own.
func NewWorker(index int, l Limits, io IO, seed flow.Seed) (*Worker, error) {
	w := &Worker{index: index, io: io, seed: seed,
		floods:   newBucket(synRate, synBurst),
		unknowns: newBucket(unknownRate, unknownRate/10),
		repeats:  newBucket(repeatsPerSec, repeatsPerSec/10),
		resets:   newBucket(resetsPerSecond, resetsPerSecond),
	}
	for _, t := range []struct {
		name string
		to   **flow.Table
		size int
	}{
		{"ingress", &w.mapped, l.Flows}, {"tracker", &w.tracked, l.Flows},
		{"half-open", &w.half, l.HalfOpen}, {"pending", &w.pending, l.Held},
	} {
		table, err := flow.NewTable(t.size, seed)
		if err != nil {
			w.Close()
			return nil, fmt.Errorf("%s table of worker %d: %w", t.name, index, err)
		}
		*t.to = table
	}
	w.halfState, w.halfTimers = make([]halfOpen, w.half.Slots()), newWheel(w.half.Slots())
	w.pendingState, w.pendingTimers = make([]pending, w.pending.Slots()), newWheel(w.pending.Slots())
	w.held = newHeldPool(l.Held)
	w.SetConfig(&Config{})
	return w, nil
}

// Close gives the tables' memory back.
func (w *Worker) Close() {
	for _, t := range []*flow.Table{w.mapped, w.tracked, w.half, w.pending} {
		if t != nil {
			t.Close()
		}
	}
}

// SetConfig takes up a prepared configuration, between two bursts. Flows stay.
func (w *Worker) SetConfig(c *Config) {
	before, epoch := w.view, uint32(0)
	if w.cfg != nil {
		epoch = w.cfg.Epoch
	}
	w.cfg, w.view = c, c.view
	if w.view == nil {
		w.view = &view{ring: hashring.New(nil, c.Secrets.Ring)}
	}
	w.seen.grow(len(w.view.servers))
	if before != nil && epoch != c.Epoch {
		w.ringChanged(before, epoch)
	}
	if w.view.scratch > len(w.scores) {
		w.scores = make([]float64, w.view.scratch)
	}
}

// Tick runs the timers. next is when to call it again at the latest, in ns.
func (w *Worker) Tick(now int64) (next int64) {
	w.now = now
	for {
		i, ok := w.halfTimers.expire(now)
		if !ok {
			break
		}
		w.onHalfOpenTimer(i)
		w.drainLocal()
	}
	for {
		i, ok := w.pendingTimers.expire(now)
		if !ok {
			break
		}
		w.onPendingTimer(i)
		w.drainLocal()
	}
	return min(w.halfTimers.nextDue(now), w.pendingTimers.nextDue(now), w.walk())
}

// ServerSeen is the tick in which a packet of a server last came through; 0:
// never. Anybody may ask.
func (w *Worker) ServerSeen(number uint16) uint32 { return w.seen.last(number) }

// Counters are the worker's; others read them with Load.
func (w *Worker) Counters() *Counters { return &w.count }

// Messages are the worker's counters of messages; others read them with Load.
func (w *Worker) Messages() *MessageCounters { return &w.messages }

// Usage is how full the tables are.
type Usage struct {
	Mapped, Tracked, HalfOpen, Pending, Held int
	Capacity                                 int // of Mapped and Tracked each
	HalfOpenCapacity                         int
	BytesPerFlow                             float64
}

// Usage may be called from the worker's own core only.
func (w *Worker) Usage() Usage {
	return Usage{Mapped: w.mapped.Len(), Tracked: w.tracked.Len(), HalfOpen: w.half.Len(), Pending: w.pending.Len(),
		Held: w.held.used, Capacity: w.mapped.Cap(), HalfOpenCapacity: w.half.Cap(), BytesPerFlow: w.mapped.BytesPerFlow()}
}

// tick32 is the time in 100 ms, as flow tables keep it.
func (w *Worker) tick32() uint32 { return uint32(w.now / 1e8) }

func (w *Worker) seconds() int64 { return (w.now + w.cfg.WallNanos) / 1e9 }

func (w *Worker) milliseconds() int64 { return (w.now + w.cfg.WallNanos) / 1e6 }

// drop counts a reason and sets the verdict.
func (w *Worker) drop(b *packet.Buf, why Counter) {
	b.Verdict = packet.Drop
	w.count.add(why, 1)
}
