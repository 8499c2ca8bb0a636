package bgp

import (
	"cmp"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Session is what is known of one session.
type Session struct {
	Advertises string
	Slot       string
	Peer       netip.Addr
	Source     netip.Addr
	State      string
	Reason     string // why it is not established
	Since      time.Time
	Losses     uint64 // of the established session, not by us
	Prefixes   int    // announced
}

// Manager holds the sessions of one node.
type Manager struct {
	log *slog.Logger

	mu       sync.Mutex
	speakers map[netip.Addr]*speaker
}

// NewManager makes a manager without sessions.
func NewManager(log *slog.Logger) *Manager {
	return &Manager{log: log, speakers: map[netip.Addr]*speaker{}}
}

// Apply opens, changes and closes sessions until they are as desired. Sessions
// that stay the same stay open.
func (m *Manager) Apply(d Desired) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := map[netip.Addr]bool{}
	for _, t := range d.Targets {
		wanted[t.Source] = true
	}
	for source, s := range m.speakers {
		if !wanted[source] {
			s.close()
		}
	}
	var errs []error
	for i := range d.Targets {
		t := &d.Targets[i]
		s := m.speakers[t.Source]
		if s == nil {
			s = newSpeaker(m.log, t.Source)
			m.speakers[t.Source] = s
		}
		errs = append(errs, s.apply(&d, t))
	}
	return errors.Join(errs...)
}

// Close closes all sessions; routers withdraw their routes at once.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range m.speakers {
		wg.Go(s.close)
	}
	wg.Wait()
}

// Sessions lists all sessions, by slot and router.
func (m *Manager) Sessions() []Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Session
	for _, s := range m.speakers {
		out = append(out, s.sessions()...)
	}
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), a.Peer.Compare(b.Peer))
	})
	return out
}

func (s *speaker) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

func (s *speaker) sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil
	}
	var out []Session
	for addr, r := range s.routers {
		v := Session{
			Advertises: s.target.Advertises, Slot: s.target.Slot, Peer: addr, Source: s.source,
			State: r.state, Since: r.since, Losses: r.losses,
		}
		if r.state == StateEstablished {
			v.Prefixes = len(s.routes)
		} else {
			v.Reason = s.why.get(addr.String())
		}
		out = append(out, v)
	}
	return out
}
