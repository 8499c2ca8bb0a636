package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// askTimeout bounds one question to etcd.
const askTimeout = 5 * time.Second

// retryAfter is the time before a write is repeated.
const retryAfter = 100 * time.Millisecond

// ErrConflict is for a change that is based on something that is not the newest any more.
var ErrConflict = errors.New("somebody else changed it meanwhile")

// Store is the part of an etcd that belongs to one cluster.
type Store struct {
	etcd   *clientv3.Client
	prefix string
}

// New is the store of a cluster.
func New(etcd *clientv3.Client, cluster string) *Store {
	return &Store{etcd, "/weir/" + cluster + "/"}
}

func (s *Store) clusterKey() string { return s.prefix + "cluster" }
func (s *Store) keysKey() string    { return s.prefix + "keys" }

// configured is the end of a range that begins with the prefix: cluster and
// keys sort before it, registrations after it.
func (s *Store) configured() string { return s.prefix + "l" }

func (s *Store) registrations() string               { return s.prefix + "registrations/" }
func (s *Store) registrationKey(w Registrant) string { return s.registrations() + w.Kind + "/" + w.ID }

// Cluster is the cluster file as it is stored.
type Cluster struct {
	Text           string `json:"text"`
	RemovalAllowed bool   `json:"removal_allowed"` // an operator said that nodes or servers may vanish
}

// State is everything that is configured, as of one moment.
type State struct {
	Cluster         Cluster
	ClusterRevision int64 // 0: no cluster file is applied yet
	Keys            Keys
	KeysRevision    int64
}

// Revision is that of the last change.
func (s *State) Revision() int64 { return max(s.ClusterRevision, s.KeysRevision) }

// Read reads everything anew, from a majority of etcd's members: nothing that
// was known before is relied on, so a store that went back in time does no harm.
func (s *Store) Read(ctx context.Context) (*State, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// One range, so both are of the same moment.
	r, err := s.etcd.Get(ctx, s.prefix, clientv3.WithRange(s.configured()))
	if err != nil {
		return nil, fmt.Errorf("read from etcd: %w", err)
	}
	out := &State{}
	for _, kv := range r.Kvs {
		switch string(kv.Key) {
		case s.clusterKey():
			out.ClusterRevision = kv.ModRevision
			err = json.Unmarshal(kv.Value, &out.Cluster)
		case s.keysKey():
			out.KeysRevision = kv.ModRevision
			err = out.Keys.decode(kv.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
	}
	if out.KeysRevision == 0 {
		return nil, fmt.Errorf("etcd has no %s; was its data lost? Restore a backup: new keys would move every connection", s.keysKey())
	}
	return out, nil
}

// Wait returns when something changed that is newer than a revision, or after
// a while: the caller then reads anew. It trusts etcd with nothing but the hint.
func (s *Store) Wait(ctx context.Context, revision int64, longest time.Duration) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), longest)
	defer cancel()
	for r := range s.etcd.Watch(ctx, s.prefix, clientv3.WithRange(s.configured()), clientv3.WithRev(revision+1)) {
		if len(r.Events) > 0 || r.Err() != nil {
			break
		}
	}
}

// PutCluster replaces the cluster file if its revision is still the expected
// one, and tells the new one.
func (s *Store) PutCluster(ctx context.Context, c Cluster, expected int64) (int64, error) {
	value, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("encode the cluster file: %w", err)
	}
	return s.put(ctx, s.clusterKey(), string(value), expected)
}

// put repeats a write that a change of etcd's leader interrupted. Such a write
// may have happened: what then stands there is our own value.
// It happens only if everything else holds, too.
func (s *Store) put(ctx context.Context, key, value string, expected int64, also ...clientv3.Cmp) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for repeated := false; ; repeated = true {
		r, err := s.etcd.Txn(ctx).If(append(also, clientv3.Compare(clientv3.ModRevision(key), "=", expected))...).
			Then(clientv3.OpPut(key, value)).Else(clientv3.OpGet(key)).Commit()
		switch {
		case err == nil && r.Succeeded:
			return r.Header.Revision, nil
		case err == nil:
			kvs := r.Responses[0].GetResponseRange().Kvs
			if repeated && len(kvs) == 1 && string(kvs[0].Value) == value {
				return kvs[0].ModRevision, nil
			}
			return 0, ErrConflict
		case !transient(err):
			return 0, fmt.Errorf("write to etcd: %w", err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return 0, fmt.Errorf("write to etcd: %w", err)
		}
	}
}

// transient reports whether etcd is only between two leaders.
func transient(err error) bool {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// Registrant is a machine that registers.
type Registrant struct{ Kind, ID string }

// Registration is its last report.
type Registration struct {
	Version  string    `json:"version"`
	Boot     uint64    `json:"boot"`
	Store    string    `json:"store"`
	Revision int64     `json:"revision"` // in force
	Error    string    `json:"error"`
	Seen     time.Time `json:"seen"`           // by the clock of the front-end that it spoke to
	From     string    `json:"from,omitempty"` // address that it called from
}

// Register stores a report.
func (s *Store) Register(ctx context.Context, who Registrant, r Registration) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a registration: %w", err)
	}
	if _, err := s.etcd.Put(ctx, s.registrationKey(who), string(value)); err != nil {
		return fmt.Errorf("write to etcd: %w", err)
	}
	return nil
}

// Registrations are all reports.
func (s *Store) Registrations(ctx context.Context) (map[Registrant]Registration, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := s.etcd.Get(ctx, s.registrations(), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read from etcd: %w", err)
	}
	out := map[Registrant]Registration{}
	for _, kv := range r.Kvs {
		kind, id, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), s.registrations()), "/")
		var one Registration
		if err := json.Unmarshal(kv.Value, &one); err != nil {
			return nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		out[Registrant{kind, id}] = one
	}
	return out, nil
}

// CallsFrom is the address from which a node has reported last; empty: it has not.
func (s *Store) CallsFrom(ctx context.Context, node string) string {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := s.etcd.Get(ctx, s.registrationKey(Registrant{"node", node}))
	var one Registration
	if err != nil || len(r.Kvs) == 0 || json.Unmarshal(r.Kvs[0].Value, &one) != nil {
		return ""
	}
	return one.From
}
