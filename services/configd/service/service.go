// Package service is the configuration service itself (S-112): what it holds in
// etcd, told to nodes and servers as it changes, and changed by operators. Any
// number of front-ends may run on one etcd; none of them knows anything that
// the others do not.
package service

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/store"
	"weir/services/identity"
)

const (
	rereadAfter = 10 * time.Second // at the latest, also when etcd says that nothing changed
	retryAfter  = time.Second      // when etcd does not answer
)

// Service is one front-end.
type Service struct {
	api.UnimplementedConfigServer
	log   *slog.Logger
	store *store.Store
	name  string // of the cluster

	mu      sync.Mutex
	state   *known        // nil before the first answer of etcd
	changed chan struct{} // closed when state is replaced
}

// known is a state with its cluster file read.
type known struct {
	*store.State
	cluster *config.Cluster // nil: nothing is applied yet
	bare    string          // its text without passwords
}

// New is a front-end of the cluster with this name.
func New(log *slog.Logger, s *store.Store, name string) *Service {
	return &Service{log: log, store: s, name: name, changed: make(chan struct{})}
}

// Register puts the service on a gRPC server.
func (s *Service) Register(g *grpc.Server) { api.RegisterConfigServer(g, s) }

// NewServer is a gRPC server for the service: mutual TLS, for all roles that
// ask something of it.
func NewServer(me *identity.Identity) *grpc.Server {
	return grpc.NewServer(
		grpc.Creds(credentials.NewTLS(me.Server(identity.Node, identity.Server, identity.Operator))),
		grpc.MaxRecvMsgSize(api.MaxSnapshot),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 2 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}))
}

// Run follows etcd until the context ends. While etcd does not answer, what was
// known last is told on.
func (s *Service) Run(ctx context.Context) {
	away := false
	for ctx.Err() == nil {
		state, err := s.store.Read(ctx)
		if err != nil {
			if ctx.Err() == nil && !away {
				s.log.Error("the store does not answer; what was known last stays", "error", err)
			}
			away = true
			select {
			case <-time.After(retryAfter):
			case <-ctx.Done():
			}
			continue
		}
		if away {
			s.log.Info("the store answers again")
			away = false
		}
		s.take(state)
		s.store.Wait(ctx, state.Revision(), rereadAfter)
	}
}

// take makes a state the newest one, whatever its revision is: the store is
// right, also when it went back in time.
func (s *Service) take(state *store.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil && s.state.Keys.Store == state.Keys.Store && s.state.ClusterRevision == state.ClusterRevision && s.state.KeysRevision == state.KeysRevision {
		return
	}
	k := &known{State: state}
	if state.ClusterRevision > 0 {
		var err error
		if k.cluster, err = config.ParseCluster("cluster", []byte(state.Cluster.Text)); err == nil {
			k.bare, err = config.WithoutPasswords(state.Cluster.Text)
		}
		if err != nil {
			// Written by a newer version, or by hand.
			s.log.Error("the stored cluster file cannot be read; what was known last stays", "revision", state.ClusterRevision, "error", err)
			return
		}
	}
	if s.state != nil && state.Revision() < s.state.Revision() {
		s.log.Warn("the store went back in time", "from", s.state.Revision(), "to", state.Revision())
	}
	s.log.Info("the configuration changed", "revision", state.Revision(), "cluster", state.ClusterRevision, "keys", state.KeysRevision, "phase", state.Keys.Phase)
	s.state = k
	close(s.changed)
	s.changed = make(chan struct{})
}

// now is the newest state, and what is closed when it is not that any more.
func (s *Service) now() (*known, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.changed
}

// Members are the nodes of the cluster file; nil: none is known yet.
func (s *Service) Members() []config.Member {
	k, _ := s.now()
	if k == nil || k.cluster == nil {
		return nil
	}
	return k.cluster.Nodes
}

// errAway is for questions before the store has answered once.
var errAway = status.Error(codes.Unavailable, "the store does not answer yet")

// caller is who calls, if it has one of the roles.
func caller(ctx context.Context, roles ...identity.Role) (identity.Name, error) {
	n, err := identity.Peer(ctx)
	if err != nil {
		return n, status.Error(codes.Unauthenticated, err.Error())
	}
	for _, r := range roles {
		if n.Role == r {
			return n, nil
		}
	}
	return n, status.Errorf(codes.PermissionDenied, "%s may not do this", n)
}

// approved reports whether a machine is in the cluster file (S-7).
func (k *known) approved(w store.Registrant) bool {
	switch {
	case k.cluster == nil:
		return false
	case w.Kind == string(identity.Node):
		return k.cluster.Member(w.ID) != nil
	}
	return k.cluster.Server(w.ID) != nil
}

// Watch tells a machine the configuration.
func (s *Service) Watch(_ *api.WatchRequest, to grpc.ServerStreamingServer[api.Snapshot]) error {
	who, err := caller(to.Context(), identity.Node, identity.Server)
	if err != nil {
		return err
	}
	for {
		k, changed := s.now()
		if k != nil {
			if err := to.Send(k.snapshot(who)); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-to.Context().Done():
			return nil
		}
	}
}

// snapshot is what a machine may know.
func (k *known) snapshot(who identity.Name) *api.Snapshot {
	out := &api.Snapshot{Store: k.Keys.Store, Revision: k.Revision()}
	if !k.approved(registrant(who)) {
		out.Pending = true
		if k.cluster == nil {
			out.Revision = 0 // nobody has taken anybody out
		}
		return out
	}
	out.Cluster, out.RemovalAllowed, out.Keys = k.Cluster.Text, k.Cluster.RemovalAllowed, api.NewClusterKeys(&k.Keys.KeySet)
	if who.Role == identity.Server {
		out.Cluster = k.bare
	}
	return out
}

func registrant(n identity.Name) store.Registrant {
	return store.Registrant{Kind: string(n.Role), ID: n.ID}
}

// Report takes down what a machine says of itself.
func (s *Service) Report(ctx context.Context, r *api.Registration) (*api.Reported, error) {
	who, err := caller(ctx, identity.Node, identity.Server)
	if err != nil {
		return nil, err
	}
	k, _ := s.now()
	if k == nil {
		return nil, errAway
	}
	err = s.store.Register(ctx, registrant(who), store.Registration{
		Version: r.Version, Boot: r.Boot, Store: r.Store, Revision: r.Revision, Error: r.Error, Seen: time.Now(), From: from(ctx)})
	if err != nil {
		return nil, storeError(err)
	}
	return &api.Reported{Approved: k.approved(registrant(who))}, nil
}

// from is the address of the caller; empty: it is not known.
func from(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	at, err := netip.ParseAddrPort(p.Addr.String())
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().String()
}

func storeError(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return status.Error(codes.Aborted, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}
