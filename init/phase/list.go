package phase

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// List holds the phases of this boot in their order.
type List struct {
	now  func() time.Duration // since the kernel started
	tell func(line string)

	mu     sync.Mutex
	status []Status // guarded by mu
}

// NewList makes the list, all pending. Now is the time since the kernel
// started, see SinceKernel; tell gets one line for each phase that ended.
func NewList(now func() time.Duration, tell func(line string), names ...string) *List {
	l := &List{now: now, tell: tell}
	for _, name := range names {
		l.status = append(l.status, Status{Name: name, Outcome: Outcome{Result: Pending}})
	}
	return l
}

// Run runs one phase and records how it ended. A phase that panics has failed;
// the boot goes on.
func (l *List) Run(name string, run func() Outcome) (o Outcome) {
	start := l.now()
	l.change(name, func(s *Status) { *s = Status{Name: name, Outcome: Outcome{Result: Running}, Started: start} })
	defer func() {
		if p := recover(); p != nil {
			o = Fail("report this line and the following stack as a defect", "panic: %v", p)
			l.tell(string(debug.Stack()))
		}
		o = o.oneLine()
		took := l.now() - start
		l.tell(l.change(name, func(s *Status) { s.Outcome, s.Took = o, took }).String())
	}()
	return run()
}

// Update records what became of a phase after its end, such as a clock that NTP
// has set since. It tells nothing if nothing changed.
func (l *List) Update(name string, o Outcome) {
	var before Outcome
	o = o.oneLine()
	l.change(name, func(s *Status) { before, s.Outcome = s.Outcome, o })
	if before != o {
		l.tell(Status{Name: name, Outcome: o, Started: l.now()}.String())
	}
}

// Result is how the phase stands.
func (l *List) Result(name string) Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.find(name).Result
}

// Snapshot is a copy of all phases as they stand.
func (l *List) Snapshot() []Status {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append([]Status(nil), l.status...)
	for i := range all {
		if all[i].Result == Running {
			all[i].Took = now - all[i].Started
		}
	}
	return all
}

func (l *List) change(name string, f func(*Status)) Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(name)
	f(s)
	return *s
}

// find panics on a name that NewList was not given: that is a slip in the code.
func (l *List) find(name string) *Status {
	for i := range l.status {
		if l.status[i].Name == name {
			return &l.status[i]
		}
	}
	panic(fmt.Sprintf("phase %q is not in the list", name))
}
