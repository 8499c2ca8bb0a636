package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	gobgp "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/server"

	"weir/services/config"
)

// retryAfter is how long a lost peer is left before it is created anew. GoBGP
// itself would wait for five seconds, and minutes after a failed attempt.
const retryAfter = 500 * time.Millisecond

// Session states.
const (
	StateEstablished = "established"
	StateOpening     = "opening"    // TCP is up, OPEN exchanged
	StateConnecting  = "connecting" // no TCP connection yet
	StateIdle        = "idle"       // waits before it connects again
)

// router is a configured router and the session with it.
type router struct {
	config.Router
	state  string
	since  time.Time
	losses uint64
	retry  *time.Timer // pending re-creation, or nil
}

// speaker holds the sessions from one source address. It has a GoBGP server of
// its own: one server has one set of routes, and each slot announces another
// next hop. A GoBGP server's goroutine never ends, so a speaker that is closed
// keeps its server, stopped, and starts it again when it is needed.
type speaker struct {
	log         *slog.Logger
	source      netip.Addr
	established func() // is called, on its own, when a session is up
	why         *reasons
	server      *server.BgpServer

	mu      sync.Mutex
	running bool
	target  Target
	desired Desired
	routes  map[netip.Prefix]bool
	routers map[netip.Addr]*router
	cancel  context.CancelFunc // of the event watch
}

func newSpeaker(log *slog.Logger, source netip.Addr, established func()) *speaker {
	s := &speaker{log: log, source: source, established: established, why: newReasons(log, source.String())}
	s.server = server.NewBgpServer(server.LoggerOption(s.why))
	go s.server.Serve()
	return s
}

// apply makes the sessions what they shall be. Sessions that do not change are
// not touched; a session for another node is another session (S-61).
func (s *speaker) apply(d *Desired, t *Target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running && (s.target != *t || s.desired.ASN != d.ASN || s.desired.HoldTime != d.HoldTime) {
		s.stop()
	}
	if !s.running {
		if err := s.start(d, t); err != nil {
			return err
		}
	}
	refresh := s.desired.LocalPref != d.LocalPref || !slices.Equal(s.desired.Communities, d.Communities)
	s.desired, s.target = *d, *t
	return errors.Join(s.applyRoutes(refresh), s.applyRouters())
}

// start runs the server with no routes and no peers.
func (s *speaker) start(d *Desired, t *Target) error {
	if err := s.server.StartBgp(background, &gobgp.StartBgpRequest{Global: &gobgp.Global{
		Asn: d.ASN, RouterId: s.source.String(), ListenPort: -1, // we connect, routers listen
	}}); err != nil {
		return fmt.Errorf("start BGP speaker %s: %w", s.source, err)
	}
	if err := s.refuseRoutes(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(background)
	err := s.server.WatchEvent(ctx, &gobgp.WatchEventRequest{Peer: &gobgp.WatchEventRequest_Peer{}}, func(r *gobgp.WatchEventResponse) {
		if p := r.GetPeer(); p != nil && p.Type == gobgp.WatchEventResponse_PeerEvent_STATE && ctx.Err() == nil {
			s.changed(p.Peer.State.NeighborAddress, p.Peer.State.SessionState)
		}
	})
	if err != nil {
		cancel()
		return fmt.Errorf("watch BGP speaker %s: %w", s.source, err)
	}
	s.cancel, s.running = cancel, true
	s.target, s.desired = *t, *d
	s.routes, s.routers = map[netip.Prefix]bool{}, map[netip.Addr]*router{}
	return nil
}

// refuseRoutes lets nothing in: we announce and do not listen, so a router's
// full table costs no memory, and is never told to another router.
func (s *speaker) refuseRoutes() error {
	const name = "ours-only"
	err := s.server.AddPolicy(background, &gobgp.AddPolicyRequest{Policy: &gobgp.Policy{Name: name, Statements: []*gobgp.Statement{{
		Name:       name,
		Conditions: &gobgp.Conditions{RouteType: gobgp.Conditions_ROUTE_TYPE_LOCAL},
		Actions:    &gobgp.Actions{RouteAction: gobgp.RouteAction_ACCEPT},
	}}}})
	if err == nil {
		err = s.server.SetPolicyAssignment(background, &gobgp.SetPolicyAssignmentRequest{Assignment: &gobgp.PolicyAssignment{
			Name: "global", Direction: gobgp.PolicyDirection_IMPORT, DefaultAction: gobgp.RouteAction_REJECT, Policies: []*gobgp.Policy{{Name: name}},
		}})
	}
	if err != nil {
		return fmt.Errorf("set import policy of BGP speaker %s: %w", s.source, err)
	}
	return nil
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
	if !s.running || s.target != *t {
		return false
	}
	return !slices.ContainsFunc(routers, func(c config.Router) bool {
		r := s.routers[c.Address]
		return r == nil || r.state != StateEstablished
	})
}

// stop closes all sessions with a notification, which makes routers withdraw at once.
func (s *speaker) stop() {
	if !s.running {
		return
	}
	s.cancel()
	for _, r := range s.routers {
		r.cancelRetry()
	}
	if err := s.server.StopBgp(background, &gobgp.StopBgpRequest{}); err != nil {
		s.log.Error("stop bgp speaker", "source", s.source, "error", err)
	}
	s.running = false
}

func (s *speaker) applyRoutes(refresh bool) error {
	var errs []error
	for p := range s.routes {
		if slices.Contains(s.desired.Prefixes, p) {
			continue
		}
		path, _, err := route(&s.desired, &s.target, p)
		if err == nil {
			err = s.server.DeletePath(background, &gobgp.DeletePathRequest{TableType: gobgp.TableType_GLOBAL, Path: path, Family: path.Family})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("withdraw %s from %s: %w", p, s.source, err))
			continue
		}
		delete(s.routes, p)
	}
	for _, p := range s.desired.Prefixes {
		if s.routes[p] && !refresh {
			continue
		}
		path, ok, err := route(&s.desired, &s.target, p)
		if ok && err == nil {
			_, err = s.server.AddPath(background, &gobgp.AddPathRequest{TableType: gobgp.TableType_GLOBAL, Path: path})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("announce %s from %s: %w", p, s.source, err))
			continue
		}
		if ok {
			s.routes[p] = true
		}
	}
	return errors.Join(errs...)
}

func (s *speaker) applyRouters() error {
	var errs []error
	for addr, r := range s.routers {
		if !slices.ContainsFunc(s.desired.Routers, func(c config.Router) bool { return c == r.Router }) {
			r.cancelRetry()
			errs = append(errs, s.server.DeletePeer(background, &gobgp.DeletePeerRequest{Address: addr.String()}))
			delete(s.routers, addr)
		}
	}
	for _, c := range s.desired.Routers {
		if s.routers[c.Address] != nil {
			continue
		}
		r := &router{Router: c, state: StateConnecting, since: time.Now()}
		if err := s.server.AddPeer(background, &gobgp.AddPeerRequest{Peer: neighbor(&s.desired, &s.target, r)}); err != nil {
			errs = append(errs, fmt.Errorf("open session %s to %s: %w", s.source, c.Address, err))
			continue
		}
		s.routers[c.Address] = r
	}
	return errors.Join(errs...)
}

// changed takes up an event of GoBGP.
func (s *speaker) changed(address string, state gobgp.PeerState_SessionState) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.routers[addr]
	if r == nil || !s.running {
		return
	}
	name := StateConnecting
	switch state {
	case gobgp.PeerState_ESTABLISHED:
		name = StateEstablished
	case gobgp.PeerState_OPENSENT, gobgp.PeerState_OPENCONFIRM:
		name = StateOpening
	case gobgp.PeerState_IDLE:
		name = StateIdle
	}
	was := r.state
	if name == was || name == StateIdle && was == StateConnecting {
		return // the first states of a new peer, or an echo of its predecessor
	}
	r.state, r.since = name, time.Now()
	switch {
	case name == StateEstablished:
		s.why.set(address, "")
		s.log.Info("bgp session is up", "router", address, "source", s.source, "advertises", s.target.Advertises)
		go s.established()
	case name == StateIdle:
		if was == StateEstablished {
			r.losses++
		}
		r.cancelRetry()
		r.retry = time.AfterFunc(retryAfter, func() { s.recreate(r) })
	}
}

// recreate replaces a lost peer by a fresh one, which connects within two seconds.
func (s *speaker) recreate(r *router) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running || s.routers[r.Address] != r || r.state != StateIdle {
		return
	}
	// Deleting fails only for a peer that the attempt before this one has deleted.
	_ = s.server.DeletePeer(background, &gobgp.DeletePeerRequest{Address: r.Address.String()})
	if err := s.server.AddPeer(background, &gobgp.AddPeerRequest{Peer: neighbor(&s.desired, &s.target, r)}); err != nil {
		s.log.Error("open bgp session again", "router", r.Address, "source", s.source, "error", err)
		r.retry = time.AfterFunc(retryAfter, func() { s.recreate(r) })
		return
	}
	r.retry, r.state, r.since = nil, StateConnecting, time.Now()
}

func (r *router) cancelRetry() {
	if r.retry != nil {
		r.retry.Stop()
		r.retry = nil
	}
}
