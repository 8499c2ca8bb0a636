package store

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// The upgrade of the cluster's nodes (S-104) is one document. Both keys sort
// behind what is configured.
func (s *Store) rolloutKey() string    { return s.prefix + "rollout" }
func (s *Store) rolloutRunner() string { return s.prefix + "rollout-runner" }

// runnerTTL is how long a runner that vanished keeps the others waiting, in seconds.
const runnerTTL = 10

// Rollout is the document of the last upgrade, with its revision; 0: there was none.
func (s *Store) Rollout(ctx context.Context) ([]byte, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := s.etcd.Get(ctx, s.rolloutKey())
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read from etcd: %w", err)
	case len(r.Kvs) == 0:
		return nil, 0, nil
	}
	return r.Kvs[0].Value, r.Kvs[0].ModRevision, nil
}

// PutRollout replaces the document if its revision is still the expected one, and
// everything else holds.
func (s *Store) PutRollout(ctx context.Context, value string, expected int64, also ...clientv3.Cmp) (int64, error) {
	return s.put(ctx, s.rolloutKey(), value, expected, also...)
}

// WaitRollout returns when the document has changed since a revision, or after a while.
func (s *Store) WaitRollout(ctx context.Context, revision int64, longest time.Duration) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), longest)
	defer cancel()
	for r := range s.etcd.Watch(ctx, s.rolloutKey(), clientv3.WithRev(revision+1)) {
		if len(r.Events) > 0 || r.Err() != nil {
			return
		}
	}
}

// Alone waits until no other front-end does this, and then runs fn. Its context
// ends when that is not sure any more; what it writes with mine is refused then.
func (s *Store) Alone(ctx context.Context, fn func(ctx context.Context, mine clientv3.Cmp)) error {
	session, err := s.session(ctx)
	if err != nil {
		return fmt.Errorf("ask etcd for a lease: %w", err)
	}
	defer session.Close()
	m := concurrency.NewMutex(session, s.rolloutRunner())
	if err := m.Lock(ctx); err != nil {
		return fmt.Errorf("wait to be the one that upgrades: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-session.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	fn(ctx, m.IsOwner())
	return nil
}

// session is a lease that is kept until it is closed, also when ctx ends before.
func (s *Store) session(ctx context.Context) (*concurrency.Session, error) {
	short, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	lease, err := s.etcd.Grant(short, runnerTTL)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(s.etcd, concurrency.WithLease(lease.ID), concurrency.WithTTL(runnerTTL), concurrency.WithContext(context.WithoutCancel(ctx)))
}
