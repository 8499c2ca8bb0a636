package supervisor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"weir/init/cpus"
	"weir/init/logs"
)

// Options are what a Supervisor works with.
type Options struct {
	Now    func() time.Duration // since the kernel started
	Tell   func(line string)    // what an operator should know; must not block
	Logs   *logs.Store          // gets the services' output, each under its name
	Groups Groups
	Notify string // path of the socket for sd_notify(3)
	// Crashed keeps a record of a life that ended badly, with its last words.
	// It must not block.
	Crashed func(service, how string, last []logs.Line)
}

// Supervisor runs the services of a table.
type Supervisor struct {
	Options
	socket *net.UnixConn
	wake   chan struct{} // something changed

	mu     sync.Mutex
	units  []*unit             // the slice is fixed; what it points to is guarded by mu
	lives  map[string]*process // guarded by mu; the services that run
	marks  map[string]int      // guarded by mu; where in the log the present life began
	met    map[string]bool     // guarded by mu; conditions
	ending bool                // guarded by mu; StopAll was called
	pet    func()              // guarded by mu; nil: no hardware watchdog
	rest   *cpus.Set           // guarded by mu; the cores of services without Spec.Cores; nil: all
}

// New makes a supervisor of the table. Nothing starts before Run.
func New(o Options, table []Spec) (*Supervisor, error) {
	s := &Supervisor{Options: o, wake: make(chan struct{}, 1), lives: map[string]*process{}, marks: map[string]int{}, met: map[string]bool{}}
	for _, spec := range table {
		o.Logs.Source(spec.Name)
		s.units = append(s.units, &unit{Spec: spec, hands: s, state: Waiting, wanted: true,
			tell: func(format string, args ...any) { o.Tell(fmt.Sprintf(format, args...)) }})
	}
	var err error
	if s.socket, err = listenNotify(o.Notify); err != nil {
		return nil, err
	}
	return s, nil
}

// tick is how often the loop runs at least: the hardware watchdog lives on it.
const tick = time.Second

// Run starts what may start, and reacts until ctx ends; then all services are
// left as they are. It is the loop that the hardware watchdog watches.
func (s *Supervisor) Run(ctx context.Context) {
	defer s.socket.Close()
	go receiveNotify(s.socket, s.notified)
	timer := time.NewTimer(0)
	last := s.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		now := s.Now()
		timer.Reset(s.round(now, now-last))
		last = now
	}
}

// round does what is due and returns how long nothing will be.
func (s *Supervisor) round(now, gap time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gap > 2*tick {
		s.forgive(gap)
	}
	next := now + tick
	blocked := false // a service that is stopped earlier runs still
	for _, u := range slices.Backward(s.units) {
		u.step(now, s.missing(u), !s.ending || !blocked)
		blocked = blocked || u.pid != 0
		if due := u.due(); due != 0 {
			next = min(next, due)
		}
	}
	if s.pet != nil {
		s.pet()
	}
	return max(next-now, 0)
}

// forgive takes the time in which this process itself did not run, such as that
// of a stopped virtual machine, from nobody's account.
func (s *Supervisor) forgive(gap time.Duration) {
	for _, u := range s.units {
		u.heard += gap
		if u.state == Starting {
			u.until += gap
		}
	}
}

// missing is what the service's start waits for.
func (s *Supervisor) missing(u *unit) (names []string) {
	for _, c := range u.Needs {
		if !s.met[c] {
			names = append(names, c)
		}
	}
	for _, name := range u.After {
		if other := s.find(name); other == nil || other.state != Ready {
			names = append(names, name)
		}
	}
	return names
}

func (s *Supervisor) find(name string) *unit {
	for _, u := range s.units {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// change runs f and lets the loop see what it did.
func (s *Supervisor) change(f func(now time.Duration)) {
	s.mu.Lock()
	f(s.Now())
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Meet says that a condition holds from now on.
func (s *Supervisor) Meet(condition string) {
	s.change(func(time.Duration) { s.met[condition] = true })
}

// Pet makes the loop call f at least every second, for as long as it turns; nil
// for nothing. What was called before is not called any more when Pet returns.
// F is called with a lock held: it must not wait for a caller of this package.
func (s *Supervisor) Pet(f func()) { s.change(func(time.Duration) { s.pet = f }) }

func (s *Supervisor) notified(m message) {
	s.change(func(now time.Duration) {
		for _, u := range s.units {
			if p := s.lives[u.Name]; p != nil && (m.pid == u.pid || p.group.has(m.pid)) {
				u.notified(now, m.vars)
				return
			}
		}
		s.Tell(fmt.Sprintf("process %d, which is of no service, sent a message of sd_notify: ignored", m.pid))
	})
}

// The hands of the units. They are called with mu held.

func (s *Supervisor) start(u *unit) (int, error) {
	log := s.Logs.Source(u.Name)
	g, err := s.Groups.group(u.Name)
	if err != nil {
		return 0, err
	}
	s.marks[u.Name] = log.Mark()
	if g != nil && u.Weight != 0 {
		if err := g.write("cpu.weight", strconv.Itoa(u.Weight)); err != nil {
			s.Tell(err.Error())
		}
	}
	if s.rest != nil && !u.Cores {
		if err := g.confine(*s.rest); err != nil {
			s.Tell(err.Error())
		}
	}
	p, err := launch(u.Spec, g, s.Notify, log)
	if err != nil {
		if g != nil {
			g.remove()
		}
		return 0, err
	}
	if s.rest != nil && u.Cores {
		cpus.Float(p.cmd.Process.Pid, *s.rest)
	}
	s.lives[u.Name] = p
	life := u.life
	go func() {
		e := p.wait()
		s.change(func(now time.Duration) {
			delete(s.lives, u.Name)
			u.ended(now, life, e)
		})
	}()
	return p.cmd.Process.Pid, nil
}

func (s *Supervisor) signal(u *unit, sig syscall.Signal) {
	if p := s.lives[u.Name]; p != nil {
		p.signal(sig)
	}
}

func (s *Supervisor) kill(u *unit) {
	if p := s.lives[u.Name]; p != nil {
		p.kill()
	}
}

func (s *Supervisor) crashed(u *unit, how string) {
	s.Crashed(u.Name, how, s.Logs.Source(u.Name).Since(s.marks[u.Name]))
}
