package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fake is a service without a process, in a time of its own.
type fake struct {
	*unit
	now     time.Duration
	fail    error // of the next starts
	did     []string
	missing []string
}

func newFake(spec Spec) *fake {
	f := &fake{}
	f.unit = &unit{Spec: spec, hands: f, state: Waiting, wanted: true, tell: func(format string, args ...any) {
		f.did = append(f.did, "tell "+fmt.Sprintf(format, args...))
	}}
	return f
}

func (f *fake) start(u *unit) (int, error) {
	f.did = append(f.did, "start")
	return 100 + u.life, f.fail
}
func (f *fake) signal(_ *unit, s syscall.Signal) { f.did = append(f.did, "signal "+s.String()) }
func (f *fake) kill(*unit)                       { f.did = append(f.did, "kill") }
func (f *fake) crashed(_ *unit, how string)      { f.did = append(f.did, "crashed "+how) }

// pass lets time go by as the loop would, deadline by deadline.
func (f *fake) pass(d time.Duration) {
	end := f.now + d
	for {
		f.step(f.now, f.missing, true)
		next := f.now + tick
		if due := f.due(); due != 0 {
			next = min(next, due)
		}
		if next > end {
			break
		}
		f.now = max(next, f.now)
	}
	f.now = end
	f.step(f.now, f.missing, true)
}

func (f *fake) ends(how string) { f.ended(f.now, f.life, end{how: how, clean: how == "exit status 0"}) }

func (f *fake) count(what string) (n int) {
	for _, d := range f.did {
		if strings.HasPrefix(d, what) {
			n++
		}
	}
	return n
}

var daemon = Spec{Name: "dataplane", Notify: true, Start: 10 * time.Second, Watchdog: 3 * time.Second, Stop: 5 * time.Second}

var simple = Spec{Name: "console", Stop: time.Second}

func TestAServiceWaitsForItsConditionsAndSaysForWhich(t *testing.T) {
	f := newFake(daemon)
	f.missing = []string{"nics", "hugepages"}
	f.pass(time.Hour)
	if st := f.status(f.now, f.missing); st.State != Waiting || st.WaitsFor != "nics, hugepages" || f.count("start") != 0 {
		t.Errorf("status %+v, did %q", st, f.did)
	}
	f.missing = nil
	f.pass(0)
	if f.state != Starting || f.pid != 101 {
		t.Errorf("state %s, pid %d", f.state, f.pid)
	}
}

func TestAServiceIsReadyWhenItSaysSo(t *testing.T) {
	f := newFake(daemon)
	f.pass(time.Second)
	f.notified(f.now, parseNotify("STATUS=reading\n"))
	if f.state != Starting || f.says != "reading" {
		t.Errorf("after a status: %s %q", f.state, f.says)
	}
	f.notified(f.now, parseNotify("READY=1\nSTATUS=forwarding"))
	if f.state != Ready || f.says != "forwarding" {
		t.Errorf("after READY: %s %q", f.state, f.says)
	}
}

func TestAServiceThatIsNeverReadyIsStartedAgain(t *testing.T) {
	f := newFake(daemon)
	f.pass(daemon.Start)
	if f.state != Stopping || f.count("signal aborted") != 1 {
		t.Fatalf("state %s, did %q", f.state, f.did)
	}
	f.pass(abortGrace)
	if f.count("kill") != 1 {
		t.Fatalf("did %q", f.did)
	}
	f.ends("signal: killed")
	if f.lastEnd != "not ready within 10s" || f.state != BackingOff || f.count("crashed not ready") != 1 {
		t.Errorf("last end %q, state %s, did %q", f.lastEnd, f.state, f.did)
	}
}

func TestASilentServiceIsAbortedThenKilledThenStartedAgain(t *testing.T) {
	f := newFake(daemon)
	f.pass(0)
	f.notified(f.now, parseNotify("READY=1"))
	for range 10 {
		f.pass(2 * time.Second)
		f.notified(f.now, parseNotify("WATCHDOG=1"))
	}
	if f.state != Ready {
		t.Fatalf("while it speaks: %s", f.state)
	}
	f.pass(3 * time.Second)
	if f.count("signal aborted") != 1 || f.count("kill") != 0 {
		t.Fatalf("did %q", f.did)
	}
	f.pass(abortGrace)
	f.ends("signal: killed")
	if f.count("kill") != 1 || f.count("crashed watchdog: silent for 3s") != 1 {
		t.Errorf("did %q", f.did)
	}
	f.pass(firstDelay)
	if f.state != Starting || f.restarts != 1 {
		t.Errorf("state %s, restarts %d", f.state, f.restarts)
	}
}

func TestDelaysGrowToThirtySecondsAndNeverEnd(t *testing.T) {
	f := newFake(simple)
	var delays []string
	for range 12 {
		f.pass(0)
		if f.state != Ready {
			t.Fatalf("state %s", f.state)
		}
		f.ends("signal: killed")
		delays = append(delays, f.status(f.now, nil).NextStart.String())
		f.pass(f.until - f.now)
	}
	if got, want := strings.Join(delays, " "), "100ms 200ms 400ms 800ms 1.6s 3.2s 6.4s 12.8s 25.6s 30s 30s 30s"; got != want {
		t.Errorf("delays %s, want %s", got, want)
	}
	if f.restarts != 12 || f.count("crashed") != 4 { // the first three and the tenth
		t.Errorf("restarts %d, records %d", f.restarts, f.count("crashed"))
	}
	f.pass(0)
	f.ends("exit status 2")
	if f.count("crashed exit status 2") != 1 {
		t.Error("no record of an end that is new")
	}
	if f.count("tell console ended: signal: killed; next start in 30s (ended 12 times in a row") != 1 {
		t.Errorf("did %q", f.did)
	}
}

func TestAStableMinuteForgivesFormerEnds(t *testing.T) {
	f := newFake(simple)
	for range 8 {
		f.pass(0)
		f.ends("exit status 1")
		f.pass(f.until - f.now)
	}
	f.pass(stable)
	f.ends("exit status 1")
	if d := f.until - f.now; d != firstDelay {
		t.Errorf("delay %v", d)
	}
}

func TestAServiceThatCannotBeStartedBacksOff(t *testing.T) {
	f := newFake(simple)
	f.fail = errors.New("no such file")
	f.pass(time.Minute)
	if f.state != BackingOff || f.lastEnd != "cannot be started: no such file" || f.count("start") != 10 {
		t.Errorf("state %s, last end %q, %d starts", f.state, f.lastEnd, f.count("start"))
	}
}

func TestAStopThatIsAskedForIsNoCrash(t *testing.T) {
	f := newFake(daemon)
	f.pass(time.Second)
	f.wanted = false
	f.pass(4 * time.Second)
	if f.state != Stopping || f.count("signal terminated") != 1 || f.count("kill") != 0 {
		t.Fatalf("state %s, did %q", f.state, f.did)
	}
	f.pass(time.Second)
	f.ends("signal: killed")
	f.pass(time.Hour)
	if f.state != Stopped || f.count("kill") != 1 || f.count("crashed") != 0 || f.restarts != 0 {
		t.Errorf("state %s, did %q", f.state, f.did)
	}
}

func TestNewsOfAFormerLifeDoNotTouchThePresentOne(t *testing.T) {
	f := newFake(simple)
	f.pass(0)
	f.ends("exit status 1")
	f.pass(firstDelay)
	f.ended(f.now, 1, end{how: "signal: killed"})
	if f.state != Ready || f.lastEnd != "exit status 1" {
		t.Errorf("state %s, last end %q", f.state, f.lastEnd)
	}
}
