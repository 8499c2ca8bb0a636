package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/store"
	"weir/services/identity"
)

// fresh reads the store for an operator, who must see his own last change.
func (s *Service) fresh(ctx context.Context) (*known, error) {
	if _, err := caller(ctx, identity.Operator); err != nil {
		return nil, err
	}
	state, err := s.store.Read(ctx)
	if err != nil {
		return nil, storeError(err)
	}
	s.take(state)
	k, _ := s.now()
	if k == nil {
		return nil, status.Error(codes.Internal, "the stored cluster file cannot be read; see the log of configd")
	}
	return k, nil
}

// Get is the cluster file.
func (s *Service) Get(ctx context.Context, _ *api.GetRequest) (*api.ClusterText, error) {
	k, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return &api.ClusterText{Cluster: k.Cluster.Text, Revision: k.ClusterRevision}, nil
}

// Apply replaces the cluster file.
func (s *Service) Apply(ctx context.Context, r *api.ApplyRequest) (*api.Applying, error) {
	k, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := config.ParseCluster(r.File, []byte(r.Cluster))
	if err == nil && cluster.Identity.Name != s.name {
		err = fmt.Errorf("%s: cluster.name: this service is of cluster %q, not of %q", r.File, s.name, cluster.Identity.Name)
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, lines(err))
	}
	if r.ExpectedRevision != k.ClusterRevision {
		return nil, storeError(store.ErrConflict)
	}
	if k.cluster != nil && !r.AllowRemoval {
		if err := config.Removal(k.cluster, cluster); err != nil {
			return nil, status.Errorf(codes.FailedPrecondition, "%v; if this is meant, apply with --allow-removal", err)
		}
	}
	out := &api.Applying{Revision: k.ClusterRevision}
	if cluster.KeyFile != "" {
		out.Warnings = append(out.Warnings, "key_file is not used: the configuration service has made the keys")
	}
	if r.Cluster == k.Cluster.Text {
		return out, nil
	}
	out.Revision, err = s.store.PutCluster(ctx, store.Cluster{Text: r.Cluster, RemovalAllowed: r.AllowRemoval}, k.ClusterRevision)
	if err != nil {
		return nil, storeError(err)
	}
	_, _ = s.fresh(ctx) // the watchers hear of it now; what fails here is tried again by Run
	return out, nil
}

// lines has one error per line.
func lines(err error) string {
	var all config.Errors
	if !errors.As(err, &all) {
		return err.Error()
	}
	var out []string
	for _, e := range all {
		out = append(out, e.Error())
	}
	return strings.Join(out, "\n")
}

// Registrations are all machines of the cluster file, and those that are not in it.
func (s *Service) Registrations(ctx context.Context, _ *api.RegistrationsRequest) (*api.RegistrationList, error) {
	k, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	list, err := s.registered(ctx, k, k.Revision())
	if err != nil {
		return nil, err
	}
	return &api.RegistrationList{List: list, Revision: k.Revision()}, nil
}

// registered joins the cluster file with the reports. Current is who has a
// revision or a newer one of this store in force.
func (s *Service) registered(ctx context.Context, k *known, revision int64) ([]*api.Registered, error) {
	said, err := s.store.Registrations(ctx)
	if err != nil {
		return nil, storeError(err)
	}
	for _, w := range k.members() {
		if _, ok := said[w]; !ok {
			said[w] = store.Registration{}
		}
	}
	var out []*api.Registered
	for w, r := range said {
		one := &api.Registered{Kind: w.Kind, Id: w.ID, Approved: k.approved(w), SeenSeconds: -1}
		if !r.Seen.IsZero() {
			one.SeenSeconds = max(0, time.Since(r.Seen).Seconds())
			one.Current = r.Store == k.Keys.Store && r.Revision >= revision
			one.Said = &api.Registration{Version: r.Version, Boot: r.Boot, Store: r.Store, Revision: r.Revision, Error: r.Error}
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b *api.Registered) int { return strings.Compare(a.Kind+"/"+a.Id, b.Kind+"/"+b.Id) })
	return out, nil
}

func (k *known) members() (out []store.Registrant) {
	if k.cluster == nil {
		return nil
	}
	for i := range k.cluster.Nodes {
		out = append(out, store.Registrant{Kind: string(identity.Node), ID: k.cluster.Nodes[i].ID})
	}
	for _, v := range k.cluster.Servers {
		out = append(out, store.Registrant{Kind: string(identity.Server), ID: v.ID})
	}
	return out
}

var phases = map[store.Phase]api.KeysPhase{store.Steady: api.KeysPhase_KEYS_STEADY, store.Added: api.KeysPhase_KEYS_ADDED, store.Sealing: api.KeysPhase_KEYS_SEALING}

// Keys is how far a rotation is, and who it waits for.
func (s *Service) Keys(ctx context.Context, _ *api.KeysRequest) (*api.KeysStatus, error) {
	k, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return s.keysStatus(ctx, k)
}

func (s *Service) keysStatus(ctx context.Context, k *known) (*api.KeysStatus, error) {
	out := &api.KeysStatus{Phase: phases[k.Keys.Phase], Revision: k.KeysRevision}
	for _, c := range k.Keys.Control {
		out.Ids = append(out.Ids, c.ID)
	}
	list, err := s.registered(ctx, k, k.KeysRevision)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.Approved && r.Said != nil && !r.Current {
			out.Waiting = append(out.Waiting, r)
		}
	}
	return out, nil
}

// ChangeKeys makes one step of a rotation. A step is refused until everybody
// has the one before it in force: two steps apart, machines do not understand
// each other.
func (s *Service) ChangeKeys(ctx context.Context, r *api.KeysChange) (*api.KeysStatus, error) {
	k, err := s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	if r.ExpectedRevision != k.KeysRevision {
		return nil, storeError(store.ErrConflict)
	}
	next := k.Keys.Next()
	if phases[next.Phase] != r.To {
		return nil, status.Errorf(codes.FailedPrecondition, "the keys are in phase %s, after which comes %s", k.Keys.Phase, next.Phase)
	}
	now, err := s.keysStatus(ctx, k)
	if err != nil {
		return nil, err
	}
	if len(now.Waiting) > 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "%d machines do not have phase %s in force yet", len(now.Waiting), k.Keys.Phase)
	}
	if _, err := s.store.PutKeys(ctx, next, k.KeysRevision); err != nil {
		return nil, storeError(err)
	}
	s.log.Info("the keys are in their next phase", "phase", next.Phase)
	k, err = s.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return s.keysStatus(ctx, k)
}
