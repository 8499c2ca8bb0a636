package bgp

import (
	"cmp"
	"log/slog"
	"maps"
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
	Port       uint16 // of the router
	Source     netip.Addr
	State      string
	Reason     string // why it is not established
	Since      time.Time
	Losses     uint64 // of the established session, not by us
	Prefixes   int    // announced
}

// handOver is how long an old announcer of a node is kept at most while its
// successor opens (S-62). It is above the time that a router which answers needs.
const handOver = 5 * time.Second

// Manager holds the sessions of one node.
type Manager struct {
	log *slog.Logger

	mu       sync.Mutex
	desired  Desired
	speakers map[netip.Addr]*speaker
	held     map[netip.Addr]time.Time // sources that still announce what another source shall: until when
	settle   *time.Timer              // looks at held again, or nil
}

// NewManager makes a manager without sessions.
func NewManager(log *slog.Logger) *Manager {
	return &Manager{log: log, speakers: map[netip.Addr]*speaker{}, held: map[netip.Addr]time.Time{}}
}

// Apply opens, changes and closes sessions until they are as desired. Sessions
// that stay the same stay open. A node that moves from one of our sources to
// another keeps its old session until the new one is established, so that it
// never loses its last announcer (S-62); the session of a node that is no
// longer announced closes at once (S-61).
func (m *Manager) Apply(d Desired) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired = d
	m.step()
}

// step does what can be done now; what waits is in held. Called with the lock.
func (m *Manager) step() {
	wanted := map[netip.Addr]*Target{}
	for i := range m.desired.Targets {
		t := &m.desired.Targets[i]
		wanted[t.Source] = t
	}
	now := time.Now()
	keep := map[netip.Addr]Target{}
	for source, s := range m.speakers {
		old, running := s.advertises()
		if t := wanted[source]; !running || t != nil && t.Advertises == old.Advertises || !m.moves(old, now) {
			delete(m.held, source)
			if running && t == nil {
				s.close()
			}
			continue
		}
		keep[source] = old
	}
	for i := range m.desired.Targets {
		t := &m.desired.Targets[i]
		if _, ok := keep[t.Source]; ok {
			continue
		}
		s := m.speakers[t.Source]
		if s == nil {
			s = newSpeaker(m.log, t.Source, m.lookAgain)
			m.speakers[t.Source] = s
		}
		s.apply(&m.desired, t)
	}
	for source, old := range keep {
		m.speakers[source].apply(&m.desired, &old) // its prefixes and routers may have changed
	}
	m.schedule(now)
}

// moves reports whether another source shall announce the same node and does
// not do so yet, within the time for that.
func (m *Manager) moves(old Target, now time.Time) bool {
	for i := range m.desired.Targets {
		t := &m.desired.Targets[i]
		if t.Advertises != old.Advertises || t.NextHop != old.NextHop || t.NextHop6 != old.NextHop6 || t.Source == old.Source {
			continue
		}
		if m.announces(t) {
			return false
		}
		until, ok := m.held[old.Source]
		if !ok {
			until = now.Add(handOver)
			m.held[old.Source] = until
		}
		return now.Before(until)
	}
	return false
}

// announces reports whether a target's sessions to all routers are established.
func (m *Manager) announces(t *Target) bool {
	s := m.speakers[t.Source]
	return s != nil && s.announces(t, m.desired.Routers)
}

// schedule makes step run again when the first held source may be held no longer.
func (m *Manager) schedule(now time.Time) {
	if m.settle != nil {
		m.settle.Stop()
		m.settle = nil
	}
	if len(m.held) == 0 {
		return
	}
	first := slices.MinFunc(slices.Collect(maps.Values(m.held)), time.Time.Compare)
	m.settle = time.AfterFunc(max(0, first.Sub(now)), m.lookAgain)
}

// lookAgain is called when a session was established or a time is over.
func (m *Manager) lookAgain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) > 0 {
		m.step()
	}
}

// Announcing reports whether the sessions of all targets to all routers are established.
func (m *Manager) Announcing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.desired.Targets {
		if !m.announces(&m.desired.Targets[i]) {
			return false
		}
	}
	return true
}

// Announced are the nodes whose sessions are established with all routers, in
// the order of the targets.
func (m *Manager) Announced() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for i := range m.desired.Targets {
		if t := &m.desired.Targets[i]; m.announces(t) {
			out = append(out, t.Advertises)
		}
	}
	return out
}

// Close closes all sessions; routers withdraw their routes at once. It waits
// until they have, for a while.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.desired, m.held = Desired{}, map[netip.Addr]time.Time{}
	m.schedule(time.Now())
	for _, s := range m.speakers {
		s.close()
	}
	for _, s := range m.speakers {
		s.wait()
	}
}

// Sessions lists all sessions, by slot and router.
func (m *Manager) Sessions() []Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Session
	for _, s := range m.speakers {
		out = append(out, s.look()...)
	}
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), a.Peer.Compare(b.Peer))
	})
	return out
}
