// Package rollouts brings a new version to all nodes of the cluster (S-104). The
// front-end of the configuration service that holds a lock in etcd carries it on;
// package rollout decides, and the document in etcd is all that is remembered, so
// another one can go on at any moment.
package rollouts

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/store"
	"weir/services/rollout"
)

const (
	rereadIdle = 10 * time.Second // the document, when nothing seems to happen
	retryAfter = time.Second
)

// Caller is how nodes are asked and told.
type Caller interface {
	Look(ctx context.Context, m *config.Member) (*api.NodeStatus, error)
	Check(ctx context.Context, m *config.Member) (*api.UpdateCheck, error)
	Act(ctx context.Context, m *config.Member, a rollout.Action) error
}

// Rollouts is one front-end's part in upgrades.
type Rollouts struct {
	api.UnimplementedRolloutsServer
	log     *slog.Logger
	store   *store.Store
	nodes   Caller
	members func() []config.Member // of the cluster file; nil: it is not known yet
	// Pace is between two looks at the nodes, and Bear how long one may be silent
	// before an upgrade is not begun.
	Pace, Bear time.Duration
}

// New takes part in the upgrades of a cluster.
func New(log *slog.Logger, s *store.Store, nodes Caller, members func() []config.Member) *Rollouts {
	return &Rollouts{log: log, store: s, nodes: nodes, members: members, Pace: time.Second, Bear: 20 * time.Second}
}

// Run carries upgrades on while no other front-end does, until ctx ends.
func (r *Rollouts) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.store.Alone(ctx, func(ctx context.Context, mine clientv3.Cmp) {
			run := &runner{Rollouts: r, mine: mine, memory: map[string]*memory{}}
			run.loop(ctx)
			run.stop()
		})
		if err != nil && ctx.Err() == nil {
			r.log.Warn("upgrades of the cluster are not carried on from here", "error", err)
		}
		pause(ctx, retryAfter)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// runner is who carries an upgrade on.
type runner struct {
	*Rollouts
	mine   clientv3.Cmp
	acts   sync.WaitGroup
	memory map[string]*memory // by node
}

// memory is what is known of a node beyond its last answer, and lost with the runner.
type memory struct {
	phase                 rollout.Phase
	silent, unwell, stuck time.Time // since then; zero: it is not
	end                   context.CancelFunc

	mu      sync.Mutex
	busy    bool // a call is under way
	taken   bool
	refused string
}

func (r *runner) loop(ctx context.Context) {
	for ctx.Err() == nil {
		text, revision, err := r.store.Rollout(ctx)
		if err != nil {
			r.log.Warn("the upgrade of the cluster waits for the store", "error", err)
			pause(ctx, retryAfter)
			continue
		}
		var d rollout.Document
		members := r.members()
		idle := revision == 0 || members == nil
		if !idle {
			if d, err = rollout.Decode(text); err != nil {
				r.log.Error("the upgrade of the cluster is not carried on from here", "error", err)
			}
			idle = err != nil || d.Idle()
		}
		if idle {
			r.store.WaitRollout(ctx, revision, rereadIdle)
			if revision == 0 || members == nil {
				pause(ctx, retryAfter)
			}
			continue
		}
		began := time.Now()
		r.round(ctx, d, revision, members)
		pause(ctx, r.Pace-time.Since(began))
	}
}

// stop ends all calls. What they began goes on at the nodes.
func (r *runner) stop() {
	for _, m := range r.memory {
		m.end()
	}
	r.acts.Wait()
}

// round looks, decides, saves and acts, in this order.
func (r *runner) round(ctx context.Context, d rollout.Document, revision int64, members []config.Member) {
	now := time.Now()
	facts := r.look(ctx, members, now)
	if ctx.Err() != nil {
		return
	}
	next, actions := rollout.Next(d, facts, now.UTC().Truncate(time.Millisecond))
	before, err := d.Encode()
	text, err2 := next.Encode()
	if err = errors.Join(err, err2); err == nil && text != before {
		_, err = r.store.PutRollout(ctx, text, revision, r.mine)
	}
	switch {
	case errors.Is(err, store.ErrConflict):
		return // an operator was faster, or this is not the runner any more
	case err != nil:
		r.log.Warn("the upgrade of the cluster waits for the store", "error", err)
		return
	}
	r.tell(&d, &next)
	r.remember(&next)
	for _, a := range actions {
		for i := range members {
			if members[i].ID == a.Node {
				r.act(ctx, &members[i], a)
			}
		}
	}
}

// tell logs what has changed.
func (r *runner) tell(d, next *rollout.Document) {
	phases := map[string]rollout.Phase{}
	for _, n := range d.Nodes {
		phases[n.ID] = n.Phase
	}
	for _, n := range next.Nodes {
		if phases[n.ID] != n.Phase {
			r.log.Info("upgrade of a node", "node", n.ID, "to", next.Goal(&n), "phase", n.Phase, "reason", n.Now)
		}
	}
	if d.State != next.State {
		r.log.Info("upgrade of the cluster", "to", next.Version, "back", next.Back, "state", next.State, "reason", next.Reason)
	}
}

// look asks all nodes at the same time.
func (r *runner) look(ctx context.Context, members []config.Member, now time.Time) []rollout.Fact {
	facts := make([]rollout.Fact, len(members))
	var asked sync.WaitGroup
	for i := range members {
		asked.Go(func() {
			s, err := r.nodes.Look(ctx, &members[i])
			facts[i] = fact(&members[i], s, err)
		})
	}
	asked.Wait()
	for i := range facts {
		f := &facts[i]
		m := r.of(f.ID)
		f.SilentFor = lasts(&m.silent, f.Silent != "", now)
		f.UnwellFor = lasts(&m.unwell, f.Silent != "" || f.Unwell != "", now)
		f.StuckFor = lasts(&m.stuck, f.Silent == "" && (f.Begins() || f.Update.GetJob().GetPhase() == "waits"), now)
		m.mu.Lock()
		f.Taken, f.Refused = m.taken, m.refused
		m.mu.Unlock()
	}
	return facts
}

// of is the memory of a node.
func (r *runner) of(id string) *memory {
	m := r.memory[id]
	if m == nil {
		m = &memory{end: func() {}}
		r.memory[id] = m
	}
	return m
}

// lasts is for how long something is so.
func lasts(since *time.Time, so bool, now time.Time) time.Duration {
	switch {
	case !so:
		*since = time.Time{}
		return 0
	case since.IsZero():
		*since = now
	}
	return now.Sub(*since)
}

// remember forgets the calls of a phase that is over.
func (r *runner) remember(d *rollout.Document) {
	for _, n := range d.Nodes {
		m := r.of(n.ID)
		if m.phase == n.Phase {
			continue
		}
		m.end() // its answer goes to the memory that is dropped here
		r.memory[n.ID] = &memory{phase: n.Phase, silent: m.silent, unwell: m.unwell, stuck: m.stuck, end: func() {}}
	}
}

// act begins a call, unless one is under way.
func (r *runner) act(ctx context.Context, n *config.Member, a rollout.Action) {
	m := r.of(n.ID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy {
		return
	}
	m.busy = true
	ctx, m.end = context.WithCancel(ctx)
	r.acts.Go(func() {
		err := r.nodes.Act(ctx, n, a)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.busy = false
		switch {
		case errors.Is(err, errTransient):
			r.log.Info("a node does not answer", "node", n.ID, "act", a.Act, "error", err)
		case err != nil:
			r.log.Warn("a node refuses", "node", n.ID, "act", a.Act, "error", err)
		}
		if a.Act != rollout.Drain && a.Act != rollout.Undrain && !errors.Is(err, errTransient) {
			m.taken = err == nil
			m.refused = ""
			if err != nil {
				m.refused = err.Error()
			}
		}
	})
}
