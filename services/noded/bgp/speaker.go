package bgp

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"weir/services/config"
)

// speaker holds the sessions from one source address, one per router. They all
// announce the same node.
type speaker struct {
	log         *slog.Logger
	source      netip.Addr
	established func() // is called, on its own, when a session is up

	mu       sync.Mutex
	running  bool
	target   Target
	desired  Desired
	sessions map[netip.Addr]*session        // by router
	ended    map[netip.Addr]<-chan struct{} // the last session that was closed, by router
}

func newSpeaker(log *slog.Logger, source netip.Addr, established func()) *speaker {
	return &speaker{log: log, source: source, established: established, sessions: map[netip.Addr]*session{}, ended: map[netip.Addr]<-chan struct{}{}}
}

// apply makes the sessions what they shall be. Sessions that do not change are
// not touched; a session for another node is another session (S-61).
func (s *speaker) apply(d *Desired, t *Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running && (s.target != *t || s.desired.ASN != d.ASN || s.desired.HoldTime != d.HoldTime) {
		s.stop()
	}
	s.running, s.target, s.desired = true, *t, *d
	for addr, v := range s.sessions {
		if !slices.Contains(d.Routers, v.router) {
			s.end(addr, v)
		}
	}
	routes := newRoutes(d, t)
	for _, r := range d.Routers {
		v := s.sessions[r.Address]
		if v == nil {
			v = &session{log: s.log, source: s.source, router: r, asn: d.ASN, hold: d.HoldTime, advertises: t.Advertises,
				established: s.established, after: s.ended[r.Address], routes: routes}
			s.sessions[r.Address] = v
			v.open()
			continue
		}
		v.announce(routes)
	}
}

// advertises is what the running speaker announces.
func (s *speaker) advertises() (t Target, running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.target, s.running
}

// announces reports whether the sessions for a target are established with all routers.
func (s *speaker) announces(t *Target, routers []config.Router) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running && s.target == *t && !slices.ContainsFunc(routers, func(r config.Router) bool {
		v := s.sessions[r.Address]
		return v == nil || v.look().State != StateEstablished
	})
}

// close closes all sessions.
func (s *speaker) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

func (s *speaker) stop() {
	for addr, v := range s.sessions {
		s.end(addr, v)
	}
	s.running = false
}

// end closes a session; the next one with the same router waits until it has ended.
func (s *speaker) end(router netip.Addr, v *session) {
	v.close()
	s.ended[router] = v.ended
	delete(s.sessions, router)
}

// wait waits until every session that was closed has ended.
func (s *speaker) wait() {
	s.mu.Lock()
	ended := slices.Collect(maps.Values(s.ended))
	s.mu.Unlock()
	for _, e := range ended {
		<-e
	}
}

// look is the state of all sessions.
func (s *speaker) look() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Session
	for _, v := range s.sessions {
		l := v.look()
		l.Slot = s.target.Slot
		out = append(out, l)
	}
	return out
}

// look is the state of the session.
func (s *session) look() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Session{Advertises: s.advertises, Peer: s.router.Address, Port: s.router.Port, Source: s.source, State: s.state, Reason: s.why, Since: s.since, Losses: s.losses}
	if s.state == StateEstablished {
		v.Prefixes = len(s.routes.prefixes)
	}
	return v
}
