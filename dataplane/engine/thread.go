package engine

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"weir/dataplane/dpdk"
)

const (
	// spin is how long a thread polls in vain before it sleeps, ns. A burst is
	// often followed by another; a sleep and a wake-up cost about as much.
	spin = 20_000
	// blindSleep bounds the sleep of a thread whose NIC cannot wake it, ns: a
	// thousand wake-ups a second take about a twentieth of a slow virtual core.
	// The sleep doubles up to it, from firstSleep.
	blindSleep = 1_000_000
	firstSleep = 20_000
	// armAfter is how long a thread finds nothing before it has NICs interrupt
	// its sleep, ns. An interrupt costs as much as many looks: it is for who is
	// idle, not for who has little to do.
	armAfter = 2_000_000
	// longSleep bounds any sleep, ns: a lost wake-up must not be felt.
	longSleep = 100_000_000
)

// body is what a thread does each time round its loop.
type body interface {
	// step moves one burst and returns how many frames it found.
	step(now int64) int
	// tick runs timers; see Stage.
	tick(now int64) (next int64)
	// waiting reports whether step would find frames that came without waking
	// the thread.
	waiting() bool
}

// thread is one locked OS thread with its loop.
type thread struct {
	name, stage string
	core        int // -1: floats
	body        body
	x           *dpdk.Exchange
	poll        bool
	blind       bool          // receives from a NIC that cannot wake it, or not unless it is armed
	deaf        bool          // receives from a NIC that cannot wake it at all
	fds         []unix.PollFd // what wakes it: fds[0] is the waker's
	irqs        []interrupt   // of NICs
	firstIRQ    int           // their descriptors in fds begin here
	wake        *waker
	jobs        chan job
	halt        atomic.Bool
	started     bool
	done        chan struct{}
	counts      Counters
}

// interrupt is how a NIC wakes a thread (PortID).
type interrupt interface {
	EnableInterrupt()
	DisableInterrupt()
}

type job struct {
	run  func()
	done chan struct{}
}

// newThread prepares the i-th thread of a stage, which watches no port yet.
func newThread(stage string, i, core int, x *dpdk.Exchange, poll bool) (*thread, error) {
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	t := &thread{name: fmt.Sprintf("%s%d", stage, i), stage: stage, core: core, x: x, poll: poll, wake: w,
		jobs: make(chan job, 1), done: make(chan struct{})}
	t.fds = []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	return t, nil
}

// watch lets a port wake the thread.
func (t *thread) watch(p *Port) {
	switch {
	case p.wake < 0:
		t.blind, t.deaf = true, true
	case p.irq:
		t.interruptedBy(p.ID, p.wake)
	default:
		t.fds = append(t.fds, unix.PollFd{Fd: int32(p.wake), Events: unix.POLLIN})
	}
}

// interruptedBy lets an interrupt wake the thread. All ports of a machine are
// alike: descriptors of interrupts are the last ones.
func (t *thread) interruptedBy(i interrupt, fd int) {
	if len(t.irqs) == 0 {
		t.firstIRQ = len(t.fds)
	}
	t.blind = true
	t.irqs = append(t.irqs, i)
	t.fds = append(t.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
}

// start runs the loop and returns when it polls, or why it cannot.
func (t *thread) start() error {
	ready := make(chan error)
	t.started = true
	go t.main(ready)
	return <-ready
}

// main never unlocks its thread: the thread ends with it, and so do its CPU
// affinity and its registration.
func (t *thread) main(ready chan<- error) {
	defer close(t.done)
	runtime.LockOSThread()
	// It may have been made by the runtime's monitor, whose timers may be late
	// (services/program); the kernel's own default again. It cannot fail.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 50_000, 0, 0, 0)
	if t.core >= 0 {
		var set unix.CPUSet
		set.Set(t.core)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			ready <- fmt.Errorf("pin to core %d (is there such a core?): %w", t.core, err)
			return
		}
	}
	if err := dpdk.RegisterThread(); err != nil {
		ready <- err
		return
	}
	defer dpdk.UnregisterThread()
	ready <- nil
	t.loop()
}

// tickAfterFrames is when timers are looked at after a burst, in ns.
const tickAfterFrames = 1e6

func (t *thread) loop() {
	now := Now()
	idleSince, next, sleep := now, now, int64(firstSleep)
	for !t.halt.Load() {
		n := t.body.step(now)
		then := Now()
		t.counts.add(Polls, 1)
		if n > 0 {
			t.counts.add(Packets, uint64(n))
			t.counts.add(BusyNanos, uint64(then-now))
			idleSince, sleep = then, firstSleep
			next = min(next, then+tickAfterFrames) // they may have set timers
		}
		if then >= next {
			next = t.body.tick(then)
		}
		select {
		case j := <-t.jobs:
			j.run()
			close(j.done)
		default:
		}
		now = then
		if n > 0 || t.poll || then-idleSince < spin || t.x.Pending() {
			continue
		}
		// What the last bursts scheduled may be due before the last answer.
		next = t.body.tick(then)
		d := min(next-then, longSleep)
		arm := !t.deaf && len(t.irqs) > 0 && then-idleSince > armAfter
		if t.blind && !arm {
			d = min(d, sleep)
			sleep = min(2*sleep, blindSleep)
		}
		if d > 0 && !t.x.Pending() && t.sleep(d, arm) > 0 {
			idleSince, sleep = Now(), firstSleep
		}
		now = Now()
	}
}

// sleep waits for a frame, a wake-up or d ns. Armed, it looks for frames once
// more before, and returns how many it found instead of sleeping.
func (t *thread) sleep(d int64, arm bool) int {
	t.wake.asleep.Store(1)
	// Whoever added something before it saw asleep is noticed here, whoever
	// added it after will write to the descriptor.
	if t.body.waiting() || len(t.jobs) > 0 || t.halt.Load() {
		t.wake.asleep.Store(0)
		return 0
	}
	if arm {
		for _, i := range t.irqs {
			i.EnableInterrupt()
		}
		defer t.disarm()
		if n := t.body.step(Now()); n > 0 {
			t.wake.asleep.Store(0)
			t.counts.add(Packets, uint64(n))
			return n
		}
	}
	fds := t.fds
	if len(t.irqs) > 0 && !arm {
		fds = fds[:t.firstIRQ]
	}
	t.counts.add(Sleeps, 1)
	t.wake.wait(fds, d)
	return 0
}

// disarm ends the interrupts and forgets those that came.
func (t *thread) disarm() {
	for i, irq := range t.irqs {
		irq.DisableInterrupt()
		var b [8]byte
		unix.Read(int(t.fds[t.firstIRQ+i].Fd), b[:]) // there may have been none
	}
}

// do runs fn on the thread between two bursts, or here when the thread does
// not run.
func (t *thread) do(fn func()) {
	if !t.started {
		fn()
		return
	}
	j := job{fn, make(chan struct{})}
	select {
	case t.jobs <- j:
		t.wake.Wake()
	case <-t.done:
		fn()
		return
	}
	select {
	case <-j.done:
	case <-t.done: // it stopped in between; whatever fn prepares is of no use any more
	}
}

// stop ends the loop and waits for it.
func (t *thread) stop() {
	if !t.started {
		return
	}
	t.halt.Store(true)
	t.wake.Wake()
	<-t.done
	t.started = false
}

func (t *thread) close() {
	t.x.Close()
	t.wake.close()
}
