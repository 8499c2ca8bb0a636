// Package simulation runs a whole cluster in one process (S-90 to S-94): the
// LB nodes' state machines, the module's eBPF object, an edge router, and real
// TCP stacks as clients and servers, joined by buses that lose, double, delay
// and reorder frames as a seed commands.
//
// Time is virtual and only events move it. Everything happens in the goroutine
// that calls Run; the TCP stacks have goroutines of their own, which are
// brought to rest after every event. So a run is a function of its seed.
package simulation

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// start is the virtual clock's first reading, ns. It is not zero, so that
// nothing can mistake an unset time for the start.
const start = int64(1000 * time.Second)

// Sim is one run: a virtual clock, a queue of events, and what was observed.
type Sim struct {
	Seed  uint64
	Trace *Trace

	now        int64
	nextSeq    uint64
	queue      eventQueue
	violations []string
	log        []string // the newest lines
	logged     int
}

// New makes a run. Nothing in it depends on anything but the seed.
func New(seed uint64) *Sim {
	return &Sim{Seed: seed, Trace: newTrace(), now: start}
}

// Event is something that will happen. It happens at most once.
type Event struct {
	at  int64
	seq uint64
	do  func()
}

// Stop cancels the event and reports whether it was still to happen.
func (e *Event) Stop() bool {
	pending := e.do != nil
	e.do = nil
	return pending
}

// Now is the virtual monotonic clock, ns.
func (s *Sim) Now() int64 { return s.now }

// Elapsed is the virtual time since the start of the run.
func (s *Sim) Elapsed() time.Duration { return time.Duration(s.now - start) }

// After makes do happen d from now. Events of one instant happen in the order
// in which they were made.
func (s *Sim) After(d time.Duration, do func()) *Event {
	e := &Event{at: s.now + int64(max(d, 0)), seq: s.nextSeq, do: do}
	s.nextSeq++
	heap.Push(&s.queue, e)
	return e
}

// Rand is a random sequence of its own for the part that has this name, so
// that adding one part leaves the others' luck alone.
func (s *Sim) Rand(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(s.Seed, h.Sum64()))
}

// Violate notes that an invariant does not hold. The run ends there.
func (s *Sim) Violate(format string, args ...any) {
	s.violations = append(s.violations, fmt.Sprintf("%v: ", s.Elapsed())+fmt.Sprintf(format, args...))
}

// logLines is how many lines of the log are kept.
const logLines = 400

// Log notes what explains a run.
func (s *Sim) Log(format string, args ...any) {
	line := fmt.Sprintf("%v: ", s.Elapsed()) + fmt.Sprintf(format, args...)
	if len(s.log) < logLines {
		s.log = append(s.log, line)
	} else {
		s.log[s.logged%logLines] = line
	}
	s.logged++
}

// Lines is the newest part of the log, oldest line first.
func (s *Sim) Lines() []string {
	from := 0
	if s.logged > logLines {
		from = s.logged % logLines
	}
	return append(s.log[from:len(s.log):len(s.log)], s.log[:from]...)
}

// Run lets events happen until done reports true. It fails when an invariant
// is violated, and when limit of virtual time has passed or no event is left
// before that. The error names the seed.
func (s *Sim) Run(limit time.Duration, done func() bool) error {
	end := s.now + int64(limit)
	for len(s.violations) == 0 && !done() {
		e := s.queue.next()
		if e == nil {
			return fmt.Errorf("seed %d: nothing left to happen after %v", s.Seed, s.Elapsed())
		}
		if e.at > end {
			s.now = end
			return fmt.Errorf("seed %d: not done after %v", s.Seed, s.Elapsed())
		}
		heap.Pop(&s.queue)
		s.now = e.at
		do := e.do
		e.do = nil
		do()
	}
	if len(s.violations) > 0 {
		return fmt.Errorf("seed %d: %s", s.Seed, s.violations[0])
	}
	return nil
}

// eventQueue is a heap of events by (time, order of making).
type eventQueue []*Event

// next is the first event that was not stopped, or nil.
func (q *eventQueue) next() *Event {
	for len(*q) > 0 {
		if (*q)[0].do != nil {
			return (*q)[0]
		}
		heap.Pop(q)
	}
	return nil
}

func (q eventQueue) Len() int      { return len(q) }
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q *eventQueue) Push(x any) { *q = append(*q, x.(*Event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return e
}
