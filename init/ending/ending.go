// Package ending is the one way in which PID 1 ends: whoever wants the machine
// to reboot or to be switched off asks here, and a panic of init leads here. The
// services stop, the time is saved, the disk is left clean, the machine ends.
// Every step has a time limit; nothing that hangs can keep the machine from its end.
package ending

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// How the machine's life ends.
type How string

// In the words of the API.
const (
	Reboot   How = "reboot"
	PowerOff How = "poweroff"
	Kexec    How = "kexec" // the kernel that was loaded into memory; where none was, a reboot
)

// Steps are what is done, in this order.
type Steps struct {
	Tell     func(line string)              // to the console and the log; must not block
	Crashed  func(text string)              // keeps the record of a panic of init
	Services func(context.Context) []string // stops them; returns which run still when the context ends
	Save     []func(context.Context)        // what is written last, such as the time and the logs
	State    string                         // where the state partition is mounted
	Watchdog Watchdog                       // the hardware's; nil: there is none
	Machine  Machine
}

// Watchdog is the hardware's, as far as an end needs it.
type Watchdog interface {
	Feed()
	Disarm()
	Last(time.Duration) // the timeout for what nobody feeds any more
}

// Ending waits for the reason to end.
type Ending struct {
	asked chan request
}

type request struct {
	how   How
	why   string
	after time.Duration // an operator has this long to read why
	crash string        // the stack of a panic, or empty
}

// New makes one; Do is to be called.
func New() *Ending { return &Ending{asked: make(chan request, 1)} }

// Ask wants the machine to end. The first who asks is heard.
func (e *Ending) Ask(how How, why string) error {
	if how != Reboot && how != PowerOff && how != Kexec {
		return fmt.Errorf("no way %q to end; there are %s, %s and %s", how, Reboot, PowerOff, Kexec)
	}
	e.ask(request{how: how, why: why})
	return nil
}

func (e *Ending) ask(r request) {
	select {
	case e.asked <- r:
	default: // somebody did already
	}
}

// countdown is between a panic and its reboot.
const countdown = 10 * time.Second

// Go runs f in a goroutine; a panic in it is the machine's end, but an orderly
// one. Every goroutine of init is started so.
func (e *Ending) Go(f func()) {
	go func() {
		defer e.Recover()
		f()
	}()
}

// Recover is deferred where Go cannot be used.
func (e *Ending) Recover() {
	if p := recover(); p != nil {
		e.ask(request{how: Reboot, why: fmt.Sprintf("panic in init: %v", p), after: countdown, crash: fmt.Sprintf("panic: %v\n\n%s", p, debug.Stack())})
		select {} // the goroutine does not go on
	}
}

// Keys makes Ctrl-Alt-Del and SIGTERM an orderly reboot, and SIGPWR an orderly
// end. Other signals are taken and dropped: left to Go's runtime they would end
// init, and with it the kernel.
func (e *Ending) Keys(m Machine) error {
	c := make(chan os.Signal, 16)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPWR,
		syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGXCPU, syscall.SIGXFSZ)
	e.Go(func() {
		for s := range c {
			switch s {
			case syscall.SIGINT:
				e.Ask(Reboot, "Ctrl-Alt-Del")
			case syscall.SIGTERM:
				e.Ask(Reboot, "SIGTERM")
			case syscall.SIGPWR:
				e.Ask(PowerOff, "SIGPWR")
			}
		}
	})
	return m.KeysAsk()
}

// CrashOutput sends what Go's runtime says before it gives up on init (which no
// one can recover from) to the kernel's log, so that it is in the crash record
// that the kernel then leaves.
func CrashOutput() error {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err == nil {
		err = debug.SetCrashOutput(f, debug.CrashOptions{})
		f.Close() // it has a copy
	}
	if err != nil {
		return fmt.Errorf("send init's last words to the kernel's log: %w", err)
	}
	return nil
}

// Limits of the steps. Services have their own before they are killed; together
// they get this.
const (
	servicesLimit = 40 * time.Second
	saveLimit     = 5 * time.Second
	syncLimit     = 15 * time.Second
	unmountLimit  = 5 * time.Second
)

// kexecLimit is how long a kernel that was started without the firmware may take until
// its own init feeds the hardware watchdog: as long as the boot loader gives one.
const kexecLimit = 2 * time.Minute

// Do waits until somebody asks, and ends the machine. It does not return on a
// real one. Steps are asked for at that time: they become known during the boot.
func (e *Ending) Do(get func() Steps) {
	r := <-e.asked
	s := get()
	if r.how == Kexec && s.Watchdog == nil {
		s.Tell("no hardware watchdog would reset a kernel that hangs: a reboot through the firmware takes the place of kexec")
		r.how = Reboot
	}
	defer s.Machine.End(r.how) // also after a panic in what follows
	s.end(r)
}

func (s *Steps) end(r request) {
	s.Tell(fmt.Sprintf("%s: %s", r.how, r.why))
	if r.crash != "" {
		for line := range strings.Lines(r.crash) {
			s.Tell(strings.TrimSuffix(line, "\n"))
		}
		s.within("keep the record", saveLimit, func(context.Context) { s.Crashed(r.why + "\n" + r.crash) })
	}
	for left := r.after; left > 0; left -= time.Second {
		s.Tell(fmt.Sprintf("%s in %.0f s", r.how, left.Seconds()))
		s.within("", time.Second, func(ctx context.Context) { <-ctx.Done() })
	}
	s.within("stop the services", servicesLimit, func(ctx context.Context) {
		if left := s.Services(ctx); len(left) > 0 {
			s.Tell("cannot be stopped: " + strings.Join(left, ", "))
		}
	})
	for _, save := range s.Save {
		s.within("save what is to be kept", saveLimit, save)
	}
	s.within("write out the disks", syncLimit, func(context.Context) { s.Machine.Sync() })
	s.within("unmount the state partition", unmountLimit, func(context.Context) {
		if err := s.Machine.Release(s.State); err != nil {
			s.Tell(err.Error())
		}
	})
	if s.Watchdog != nil && r.how == PowerOff {
		s.Watchdog.Disarm()
	}
	if s.Watchdog != nil && r.how == Kexec {
		s.Watchdog.Last(kexecLimit)
	}
	s.Tell(fmt.Sprintf("%s now", r.how))
}

// within runs a step for as long as its limit allows, and feeds the hardware
// watchdog meanwhile: the supervisor's loop may be what panicked.
func (s *Steps) within(what string, limit time.Duration, step func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				s.Tell(fmt.Sprintf("%s: panic: %v", what, p))
			}
		}()
		step(ctx)
	}()
	// A step that minds its context gets a moment to say what it did not do.
	late := time.After(limit + time.Second/2)
	feed := time.NewTicker(time.Second)
	defer feed.Stop()
	for {
		if s.Watchdog != nil {
			s.Watchdog.Feed()
		}
		select {
		case <-done:
			return
		case <-late:
			s.Tell(fmt.Sprintf("%s: not done within %v; going on", what, limit))
			return
		case <-feed.C:
		}
	}
}
