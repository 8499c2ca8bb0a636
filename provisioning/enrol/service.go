// Package enrol is the gRPC service by which machines get their certificate and
// configuration, and operators decide which (S-105).
package enrol

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"weir/provisioning/guard"
	"weir/provisioning/machines"
	"weir/services/api"
	"weir/services/identity"
)

// Bounds.
const (
	maxRequest  = 32 << 10 // bytes
	perClient   = 8
	inAll       = 512
	streams     = 4 // per connection
	handshake   = 10 * time.Second
	idle        = 5 * time.Minute
	maxAge      = time.Hour
	requests    = 2 // per second and client
	atOnce      = 20
	maxReason   = 512
	maxSelector = 128
)

// Service is the service.
type Service struct {
	api.UnimplementedProvisionServer
	Log       *slog.Logger
	Counters  *guard.Counters
	Registry  *machines.Registry
	Authority []byte       // certificate, DER
	Revoked   func() error // is called after a revocation
	rate      *guard.Rate
	said      guard.Said
}

// Serve answers what comes to a listener until the context ends. A machine that
// has no certificate yet may call Enrol, and nothing else.
func (s *Service) Serve(ctx context.Context, me *identity.Identity, l net.Listener) error {
	s.rate = guard.NewRate(requests, atOnce)
	g := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(identity.WithAuthority(serverTLS(me), s.Authority))),
		grpc.MaxRecvMsgSize(maxRequest), grpc.MaxConcurrentStreams(streams), grpc.ConnectionTimeout(handshake),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idle, MaxConnectionAge: maxAge, Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.UnaryInterceptor(s.intercept))
	api.RegisterProvisionServer(g, s)
	stop := context.AfterFunc(ctx, g.Stop)
	defer stop()
	err := g.Serve(&guard.Listener{Listener: l, Slots: guard.NewSlots(perClient, inAll), Refused: func() { s.Counters.Refuse("enrol", "too_many_connections") }})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// serverTLS is mutual TLS, but for those that show no certificate at all.
func serverTLS(me *identity.Identity) *tls.Config {
	c := me.Server(identity.Node, identity.Server, identity.Operator)
	c.ClientAuth = tls.VerifyClientCertIfGiven
	judge := c.VerifyConnection
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return nil
		}
		return judge(s)
	}
	return c
}

// intercept bounds how often a client asks, and counts what comes of it.
func (s *Service) intercept(ctx context.Context, q any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	from := clientOf(ctx)
	if !s.rate.Allow(from, time.Now()) {
		s.Counters.Refuse("enrol", "too_many_requests")
		return nil, status.Error(codes.ResourceExhausted, "too many requests; ask again later")
	}
	a, err := next(ctx, q)
	if err == nil {
		s.Counters.Answer("enrol", info.FullMethod[len("/weir.api.Provision/"):])
		return a, nil
	}
	code := status.Code(err)
	s.Counters.Refuse("enrol", reasons[code])
	if s.said.New(from.String()+err.Error(), time.Now()) {
		s.Log.Warn("a request is refused", "client", from, "method", info.FullMethod, "code", code, "reason", status.Convert(err).Message())
	}
	return nil, err
}

// reasons are the names of counters.
var reasons = map[codes.Code]string{
	codes.InvalidArgument: "malformed", codes.PermissionDenied: "revoked_or_strange", codes.Unauthenticated: "no_certificate",
	codes.ResourceExhausted: "too_many_pending", codes.NotFound: "not_found", codes.FailedPrecondition: "not_as_it_is", codes.Internal: "failed",
}

func clientOf(ctx context.Context) netip.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}
	}
	return guard.Client(p.Addr)
}

// caller is who calls, by certificate, if he has one of the roles, and the
// fingerprint of his key.
func caller(ctx context.Context, roles ...identity.Role) (n identity.Name, fingerprint string, err error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return n, "", status.Error(codes.Unauthenticated, "the call has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return n, "", status.Error(codes.Unauthenticated, "this needs a certificate of the cluster")
	}
	if n, err = identity.Peer(ctx); err != nil {
		return n, "", status.Error(codes.Unauthenticated, err.Error())
	}
	for _, r := range roles {
		if n.Role == r {
			return n, machines.Fingerprint(info.State.PeerCertificates[0].RawSubjectPublicKeyInfo), nil
		}
	}
	return n, "", status.Errorf(codes.PermissionDenied, "this is not for a %s", n.Role)
}

// coded gives an error of the registry its code.
func coded(err error) error {
	code := codes.Internal
	for kind, c := range map[error]codes.Code{machines.ErrNotFound: codes.NotFound, machines.ErrNotAsItIs: codes.FailedPrecondition,
		machines.ErrRevoked: codes.PermissionDenied, machines.ErrFull: codes.ResourceExhausted} {
		if errors.Is(err, kind) {
			code = c
		}
	}
	return status.Error(code, err.Error())
}

var versionForm = regexp.MustCompile(`^[0-9A-Za-z.+~-]{0,63}$`)
