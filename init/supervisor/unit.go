package supervisor

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// unit is one service and its life so far. It decides; what it decides is done
// through its hands. All times are since the kernel started.
type unit struct {
	Spec
	hands hands
	tell  func(format string, args ...any)

	state  State
	since  time.Duration
	until  time.Duration // ready by then, dead by then, or started again then
	wanted bool          // an operator wants it to run
	pid    int           // 0: it does not run
	life   int           // counts the processes that it was

	heard    time.Duration // of its watchdog
	killedBy string        // why the supervisor is ending this life; empty: it is not
	asked    bool          // this life ends because an operator wants it to
	killed   bool          // SIGKILL was sent
	row      int           // ends in a row
	restarts int
	says     string
	lastEnd  string
	recorded string        // how the last life ended that a record was kept of
	cpu      time.Duration // of former lives
}

// hands does what a unit decides.
type hands interface {
	start(u *unit) (pid int, err error)
	signal(u *unit, s syscall.Signal) // to its first process
	kill(u *unit)                     // all of its processes
	crashed(u *unit, how string)      // keeps a record
}

// abortGrace is how long a service that hangs has to write its goroutines.
const abortGrace = 5 * time.Second

// enter changes the state.
func (u *unit) enter(s State, now time.Duration) { u.state, u.since = s, now }

// step does what is due. Missing is what its start waits for, empty for nothing;
// mayStop is false while services that are stopped before it still run.
func (u *unit) step(now time.Duration, missing []string, mayStop bool) {
	if !u.wanted && mayStop {
		u.stop(now)
	}
	switch u.state {
	case BackingOff:
		if now >= u.until {
			u.restarts++
			u.enter(Waiting, now)
			u.step(now, missing, mayStop)
		}
	case Stopped:
		if u.wanted {
			u.enter(Waiting, now)
			u.step(now, missing, mayStop)
		}
	case Waiting:
		if u.wanted && len(missing) == 0 {
			u.start(now)
		}
	case Starting:
		if now >= u.until {
			u.abort(now, fmt.Sprintf("not ready within %v", u.Start))
		}
	case Ready:
		if u.Watchdog > 0 && now >= u.heard+u.Watchdog {
			u.abort(now, fmt.Sprintf("watchdog: silent for %v", u.Watchdog))
		}
		if u.row > 0 && now >= u.since+stable {
			u.row = 0
		}
	case Stopping:
		if now >= u.until && !u.killed {
			u.killed = true
			u.hands.kill(u)
		}
	}
}

// due is when step is needed again if nothing happens; 0: never.
func (u *unit) due() time.Duration {
	switch u.state {
	case BackingOff, Starting:
		return u.until
	case Stopping:
		if !u.killed {
			return u.until
		}
	case Ready:
		if u.Watchdog > 0 {
			return u.heard + u.Watchdog
		}
	}
	return 0
}

func (u *unit) start(now time.Duration) {
	u.life++
	u.killedBy, u.asked, u.killed, u.says = "", false, false, ""
	pid, err := u.hands.start(u)
	if err != nil {
		u.ended(now, u.life, end{how: fmt.Sprintf("cannot be started: %v", err)})
		return
	}
	u.pid, u.until = pid, now+u.Start
	u.enter(Starting, now)
	if !u.Notify {
		u.ready(now)
	}
}

func (u *unit) ready(now time.Duration) {
	took := now - u.since
	u.enter(Ready, now)
	u.heard = now
	if u.Notify {
		u.tell("%s is ready after %.1f s", u.Name, took.Seconds())
	}
}

// notified takes a message of sd_notify(3).
func (u *unit) notified(now time.Duration, vars map[string]string) {
	if s, ok := vars["STATUS"]; ok {
		u.says = s
	}
	if vars["WATCHDOG"] == "1" || vars["READY"] == "1" {
		u.heard = now
	}
	if vars["READY"] == "1" && u.state == Starting {
		u.ready(now)
	}
}

// stop ends the service because that was asked for.
func (u *unit) stop(now time.Duration) {
	switch u.state {
	case Waiting, BackingOff:
		u.row = 0
		u.enter(Stopped, now)
	case Starting, Ready:
		u.asked = true
		u.enter(Stopping, now)
		u.until = now + u.Stop
		u.hands.signal(u, syscall.SIGTERM)
	case Stopping:
		u.asked = true
	}
}

// abort ends a life that is not as it must be. SIGABRT lets a Go program write
// its goroutines, which land in the crash record.
func (u *unit) abort(now time.Duration, why string) {
	u.killedBy = why
	u.tell("%s is ended: %s", u.Name, why)
	u.enter(Stopping, now)
	u.until = now + abortGrace
	u.hands.signal(u, syscall.SIGABRT)
}

// end is how a process ended.
type end struct {
	how   string // "exit status 2", "signal: killed"
	clean bool   // exit status 0
	cpu   time.Duration
}

// ended takes the news that the given life is over and nothing of it is left.
func (u *unit) ended(now time.Duration, life int, e end) {
	if life != u.life {
		return
	}
	u.pid = 0
	u.cpu += e.cpu
	u.lastEnd = e.how
	if u.killedBy != "" {
		u.lastEnd = u.killedBy
	}
	if u.asked && u.killedBy == "" {
		u.row = 0
		u.enter(Stopped, now)
		return
	}
	if u.state == Ready && now >= u.since+stable {
		u.row = 0
	}
	u.row++
	u.until = now + delay(u.row)
	u.enter(BackingOff, now)
	u.tell("%s ended: %s; %s", u.Name, u.lastEnd, u.outlook())
	// The hundredth record of the same end says no more than the third.
	if !e.clean && (u.lastEnd != u.recorded || u.row <= 3 || u.row%10 == 0) {
		u.recorded = u.lastEnd
		u.hands.crashed(u, u.lastEnd)
	}
}

// outlook says when it starts again.
func (u *unit) outlook() string {
	s := fmt.Sprintf("next start in %v", delay(u.row))
	if u.row >= 5 {
		s += fmt.Sprintf(" (ended %d times in a row; see its log; init does not give up)", u.row)
	}
	return s
}

func (u *unit) status(now time.Duration, missing []string) Status {
	s := Status{Name: u.Name, State: u.state, PID: u.pid, Restarts: u.restarts, For: now - u.since, Says: u.says, LastEnd: u.lastEnd, CPU: u.cpu}
	switch u.state {
	case BackingOff:
		s.NextStart = max(0, u.until-now)
	case Waiting:
		s.WaitsFor = strings.Join(missing, ", ")
	}
	return s
}
