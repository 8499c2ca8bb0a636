package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"

	"weir/services/config"
)

// Session states.
const (
	StateEstablished = "established"
	StateOpening     = "opening"    // TCP is up, OPEN exchanged
	StateConnecting  = "connecting" // no TCP connection yet
	StateIdle        = "idle"       // waits before it connects again
)

// Times of a session. A session that is needed is needed now: the first attempt
// is made at once, and the next ones soon.
const (
	dialTimeout  = time.Second
	openTimeout  = 4 * time.Second // for the router's OPEN and first KEEPALIVE
	writeTimeout = time.Second
	retryFirst   = 50 * time.Millisecond
	retryLast    = time.Second
	// farewell is how long the router may take to close a connection that we end.
	farewell = time.Second
)

// session is one BGP session with one router (RFC 4271): it connects, announces
// and stays. It takes no routes and listens to nobody, so that is all of the
// protocol that it needs; messages are GoBGP's, whose own state machine leaves
// a new peer idle for one to two seconds.
type session struct {
	log         *slog.Logger
	source      netip.Addr
	router      config.Router
	asn         uint32
	hold        time.Duration
	advertises  string
	established func()
	after       <-chan struct{} // the session before, with the same router from the same source, has ended; nil: there is none

	cancel context.CancelFunc
	ended  chan struct{}
	wake   chan struct{} // the routes have changed

	mu     sync.Mutex
	routes *routes
	state  string
	since  time.Time
	losses uint64
	why    string
}

// open starts a session.
func (s *session) open() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended, s.wake = cancel, make(chan struct{}), make(chan struct{}, 1)
	s.state, s.since = StateConnecting, time.Now()
	go s.run(ctx)
}

// close ends the session with a notification, on which the router withdraws its
// routes at once (S-61). It does not wait; ended says when the router has closed
// its side.
func (s *session) close() { s.cancel() }

// announce says what the session shall announce from now on.
func (s *session) announce(r *routes) {
	s.mu.Lock()
	s.routes = r
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // the flag is already up
	}
}

// run opens the session again whenever it ends.
func (s *session) run(ctx context.Context) {
	defer close(s.ended)
	// A router must have done with the former session: FRR 8.4 takes a connection
	// that overlaps it for a second one of the same neighbour, and may forget both
	// while it keeps the second one alive.
	if s.after != nil {
		<-s.after
	}
	wait := retryFirst
	for ctx.Err() == nil {
		was := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			s.log.Info("bgp session is closed", "router", s.router.Address, "source", s.source)
			return
		}
		s.down(err)
		if time.Since(was) > retryLast {
			wait = retryFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, retryLast)
		s.enter(StateConnecting)
	}
}

// enter notes a state.
func (s *session) enter(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != state {
		s.state, s.since = state, time.Now()
	}
}

// up notes that the session is established.
func (s *session) up() {
	s.mu.Lock()
	s.state, s.since, s.why = StateEstablished, time.Now(), ""
	s.mu.Unlock()
	s.log.Info("bgp session is up", "router", s.router.Address, "source", s.source, "advertises", s.advertises)
	go s.established()
}

// down notes that it is not, and why.
func (s *session) down(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == StateEstablished {
		s.losses++
	}
	if why := reason(err, s.source); why != s.why {
		s.why = why
		s.log.Warn("bgp session is down", "router", s.router.Address, "source", s.source, "reason", why)
	}
	s.state, s.since = StateIdle, time.Now()
}

// once is the life of one connection. It ends with the reason.
func (s *session) once(ctx context.Context) error {
	conn, err := dial(ctx, s.source, &s.router, s.asn)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer func() {
		if ctx.Err() != nil {
			part(conn)
		}
	}()
	s.enter(StateOpening)
	// Who closes the session must not wait for a router that says nothing.
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })
	defer stop()
	conn.SetReadDeadline(time.Now().Add(openTimeout))
	if err := write(conn, s.openMessage()); err != nil {
		return err
	}
	theirs, err := readOpen(conn)
	if err != nil {
		return err
	}
	if _, err := bgp.ValidateOpenMsg(theirs, s.router.ASN, s.asn, s.source.AsSlice()); err != nil {
		return s.refuse(conn, err)
	}
	hold := min(s.hold, time.Duration(theirs.HoldTime)*time.Second)
	if err := write(conn, bgp.NewBGPKeepAliveMessage()); err != nil {
		return err
	}
	if m, err := read(conn); err != nil {
		return err
	} else if m.kind != bgp.BGP_MSG_KEEPALIVE {
		return fmt.Errorf("the router sent message type %d where a KEEPALIVE belongs", m.kind)
	}
	if !stop() {
		return ctx.Err()
	}
	s.up()
	return s.hear(ctx, conn, hold, asPath(s.asn, &s.router, theirs))
}

// hear holds an established session: it announces, keeps it alive and reads.
func (s *session) hear(ctx context.Context, conn net.Conn, hold time.Duration, path []bgp.AsPathParamInterface) error {
	refresh, lost := make(chan struct{}, 1), make(chan error, 1)
	go func() { lost <- listen(conn, hold, refresh) }() // ends when the connection is closed
	var keep <-chan time.Time
	if hold > 0 { // 0: the router wants none (RFC 4271, 4.4)
		ticker := time.NewTicker(hold / 3)
		defer ticker.Stop()
		keep = ticker.C
	}
	var sent *routes
	for {
		s.mu.Lock()
		routes := s.routes
		s.mu.Unlock()
		for _, m := range updates(sent, routes, s.router.ASN == s.asn, path) {
			if err := write(conn, m); err != nil {
				return err
			}
		}
		sent = routes
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case <-keep:
			if err := write(conn, bgp.NewBGPKeepAliveMessage()); err != nil {
				return err
			}
		case <-refresh:
			sent = nil
		case <-s.wake:
		}
	}
}

// part tells the router that we end the session, and waits until it has closed
// its side. Whoever else reads the connection meanwhile hears the same.
func part(conn net.Conn) {
	_ = write(conn, bgp.NewBGPNotificationMessage(bgp.BGP_ERROR_CEASE, bgp.BGP_ERROR_SUB_PEER_DECONFIGURED, nil))
	for end := time.Now().Add(farewell); time.Now().Before(end); {
		_ = conn.SetReadDeadline(end)
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			return
		}
	}
}

// refuse tells the router why its OPEN is not accepted.
func (s *session) refuse(conn net.Conn, err error) error {
	var e *bgp.MessageError
	if errors.As(err, &e) {
		_ = write(conn, bgp.NewBGPNotificationMessage(e.TypeCode, e.SubTypeCode, e.Data))
	}
	return fmt.Errorf("the router's OPEN is refused: %w", err)
}

// openMessage is our OPEN (RFC 4271, 4.2).
func (s *session) openMessage() *bgp.BGPMessage {
	as := uint16(bgp.AS_TRANS) // RFC 6793, 4.1
	if s.asn < 1<<16 {
		as = uint16(s.asn)
	}
	return bgp.NewBGPOpenMessage(as, uint16(s.hold/time.Second), s.source.String(), []bgp.OptionParameterInterface{
		bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapRouteRefresh(), bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapMultiProtocol(bgp.RF_IPv6_UC), bgp.NewCapFourOctetASNumber(s.asn),
		}),
	})
}
