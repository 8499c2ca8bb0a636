package supervisor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weir/init/cpus"
)

// Control starts, stops or restarts a service and returns at once.
func (s *Supervisor) Control(name, action string) (err error) {
	s.change(func(now time.Duration) {
		u := s.find(name)
		switch {
		case u == nil:
			err = fmt.Errorf("no service %q; there are %s", name, s.names())
		case s.ending:
			err = fmt.Errorf("the machine is shutting down")
		case action == "start":
			u.begin(now)
		case action == "stop":
			u.wanted = false
		case action == "restart":
			u.stop(now)
			u.begin(now)
		default:
			err = fmt.Errorf("no action %q; there are start, stop and restart", action)
		}
	})
	return err
}

// begin lets the service run, and at once if it backs off.
func (u *unit) begin(now time.Duration) {
	u.wanted = true
	if u.state == BackingOff {
		u.row, u.until = 0, now // an operator may have mended what it died of
	}
}

func (s *Supervisor) names() string {
	var names []string
	for _, u := range s.units {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

// Reserve confines init and all services but those with Spec.Cores to the rest
// of the cores, now and whenever they start.
func (s *Supervisor) Reserve(rest cpus.Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = &rest
	groups := []*group{s.Groups.own()}
	for _, u := range s.units {
		if p := s.lives[u.Name]; p != nil && !u.Cores {
			groups = append(groups, p.group)
		} else if p != nil {
			cpus.Float(u.pid, rest)
		}
	}
	for _, g := range groups {
		if err := g.confine(rest); err != nil {
			return err
		}
	}
	return nil
}

// Status of all services, in the table's order.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	var all []Status
	for _, u := range s.units {
		st := u.status(now, s.missing(u))
		if p := s.lives[u.Name]; p != nil {
			cpu, memory := p.group.use()
			st.CPU, st.Memory = st.CPU+cpu, memory
		}
		all = append(all, st)
	}
	return all
}

// StopAll stops the services for good, the last of the table first, and returns
// when none runs, or when ctx ends with the names of those that do. The loop no
// longer feeds the hardware watchdog: who ends the machine does.
func (s *Supervisor) StopAll(ctx context.Context) (left []string) {
	s.change(func(time.Duration) {
		s.ending, s.pet = true, nil
		for _, u := range s.units {
			u.wanted = false
		}
	})
	for {
		left = left[:0]
		for _, st := range s.Status() {
			if st.State != Stopped {
				left = append(left, st.Name)
			}
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return left
		case <-time.After(20 * time.Millisecond):
		}
	}
}
