package program

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Supervisor is who started the program and watches over it: init on a node,
// systemd on a server (sd_notify(3)). Without one everything here does nothing.
type Supervisor struct {
	log *slog.Logger

	mu   sync.Mutex
	said string // the last status
}

// NewSupervisor is the supervisor that the environment names.
func NewSupervisor(log *slog.Logger) *Supervisor { return &Supervisor{log: log} }

// Ready says that the program serves, and how, in a line for operators.
func (s *Supervisor) Ready(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = status
	s.notify(daemon.SdNotifyReady + "\n" + line(status))
}

// Status says in a line for operators what the program does now.
func (s *Supervisor) Status(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == s.said {
		return
	}
	s.said = status
	s.notify(line(status))
}

// line is a status as the supervisor takes it, in one line.
func line(status string) string { return "STATUS=" + strings.ReplaceAll(status, "\n", "; ") }

// Stopping says that the program ends because it was told to.
func (s *Supervisor) Stopping() { s.notify(daemon.SdNotifyStopping) }

func (s *Supervisor) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("tell the supervisor", "state", state, "error", err)
	}
}

// Watchdog tells the supervisor's watchdog that the program lives, for as long
// as alive finds that it does, until ctx ends. alive may take as long as its
// context lasts; a program that it finds hung is killed and started again.
func (s *Supervisor) Watchdog(ctx context.Context, alive func(context.Context) error) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("the supervisor's watchdog is not fed", "error", err)
	}
	if interval <= 0 {
		return
	}
	// A look begins a third of the interval after the last word and may take most
	// of the rest: a busy machine answers slowly, but it does.
	pause, patience := interval/3, interval*7/12
	for hung := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		look, cancel := context.WithTimeout(ctx, patience)
		err := alive(look)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.notify(daemon.SdNotifyWatchdog)
		case !hung:
			s.log.Error("the watchdog is not fed", "reason", err)
		}
		hung = err != nil
	}
}
