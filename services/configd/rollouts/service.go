package rollouts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/firmware/release"
	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/store"
	"weir/services/identity"
	"weir/services/rollout"
)

// Register puts the service on a gRPC server.
func (r *Rollouts) Register(g *grpc.Server) { api.RegisterRolloutsServer(g, r) }

// operator refuses everybody else.
func operator(ctx context.Context) error {
	n, err := identity.Peer(ctx)
	switch {
	case err != nil:
		return status.Error(codes.Unauthenticated, err.Error())
	case n.Role != identity.Operator:
		return status.Errorf(codes.PermissionDenied, "%s may not do this", n)
	}
	return nil
}

// read is the last upgrade; revision is 0 if there was none.
func (r *Rollouts) read(ctx context.Context) (d rollout.Document, revision int64, err error) {
	if err := operator(ctx); err != nil {
		return d, 0, err
	}
	text, revision, err := r.store.Rollout(ctx)
	if err != nil {
		return d, 0, status.Error(codes.Unavailable, err.Error())
	}
	if revision > 0 {
		if d, err = rollout.Decode(text); err != nil {
			return d, 0, status.Error(codes.Internal, err.Error())
		}
	}
	return d, revision, nil
}

var errNone = status.Error(codes.NotFound, "no upgrade of the cluster has been begun yet")

// Status is the last upgrade.
func (r *Rollouts) Status(ctx context.Context, _ *api.RolloutRequest) (*api.Rollout, error) {
	d, revision, err := r.read(ctx)
	switch {
	case err != nil:
		return nil, err
	case revision == 0:
		return nil, errNone
	}
	return message(&d, time.Now()), nil
}

// Pause begins no other node.
func (r *Rollouts) Pause(ctx context.Context, _ *api.RolloutRequest) (*api.Rollout, error) {
	return r.change(ctx, (*rollout.Document).Pause)
}

// Resume goes on.
func (r *Rollouts) Resume(ctx context.Context, _ *api.RolloutRequest) (*api.Rollout, error) {
	return r.change(ctx, func(d *rollout.Document) error { return d.Resume(time.Now().UTC()) })
}

// RollBack turns round.
func (r *Rollouts) RollBack(ctx context.Context, _ *api.RolloutRequest) (*api.Rollout, error) {
	return r.change(ctx, func(d *rollout.Document) error {
		d.RollBack(time.Now().UTC())
		return nil
	})
}

// attempts is how often a change is made anew because the runner was faster.
const attempts = 10

func (r *Rollouts) change(ctx context.Context, change func(*rollout.Document) error) (*api.Rollout, error) {
	for range attempts {
		d, revision, err := r.read(ctx)
		if err == nil && revision == 0 {
			err = errNone
		}
		if err != nil {
			return nil, err
		}
		if err := change(&d); err != nil {
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
		err = r.put(ctx, &d, revision)
		if !errors.Is(err, store.ErrConflict) {
			return message(&d, time.Now()), answer(err)
		}
	}
	return nil, answer(store.ErrConflict)
}

func (r *Rollouts) put(ctx context.Context, d *rollout.Document, revision int64) error {
	text, err := d.Encode()
	if err == nil {
		_, err = r.store.PutRollout(ctx, text, revision)
	}
	return err
}

func answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrConflict):
		return status.Error(codes.Aborted, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}

// maxAtOnce bounds a request.
const maxAtOnce = 1000

// Start begins an upgrade if every node can take part.
func (r *Rollouts) Start(ctx context.Context, q *api.RolloutStart) (*api.Rollout, error) {
	d, revision, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if revision > 0 && (d.State == rollout.Running || d.State == rollout.Paused || !d.Idle()) {
		return nil, status.Errorf(codes.FailedPrecondition, "the upgrade to version %s is %s; wait for its end, or: weirctl upgrade rollback", d.Version, d.State)
	}
	if q.Version != "" {
		if err := release.CheckVersion(q.Version); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	if q.AtOnce > maxAtOnce {
		return nil, status.Errorf(codes.InvalidArgument, "%d nodes at a time are too many: %d at most", q.AtOnce, maxAtOnce)
	}
	members := r.members()
	if len(members) == 0 {
		return nil, status.Error(codes.FailedPrecondition, "no cluster file is applied yet: there are no nodes")
	}
	version, err := r.choose(ctx, members, q.Version)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	d = rollout.New(version, int(q.AtOnce), time.Now().UTC())
	for i := range members {
		d.Nodes = append(d.Nodes, rollout.Node{ID: members[i].ID, Phase: rollout.Waiting, Since: d.Begun})
	}
	if err := answer(r.put(ctx, &d, revision)); err != nil {
		return nil, err
	}
	r.log.Info("an upgrade of the cluster begins", "version", version, "at_once", d.AtOnce, "nodes", len(members))
	return message(&d, time.Now()), nil
}

// choose asks every node what it may install, and tells all that speaks against
// it, a line each.
func (r *Rollouts) choose(ctx context.Context, members []config.Member, version string) (string, error) {
	checks, against := make([]*api.UpdateCheck, len(members)), make([]string, len(members))
	var asked sync.WaitGroup
	for i := range members {
		asked.Go(func() { checks[i], against[i] = r.ask(ctx, &members[i]) })
	}
	asked.Wait()
	if lines := slices.DeleteFunc(against, func(s string) bool { return s == "" }); len(lines) > 0 {
		return "", errors.New(strings.Join(lines, "\n"))
	}
	if version == "" {
		for _, v := range checks[0].Versions { // newest first
			if all(checks, v) {
				version = v
				break
			}
		}
		if version == "" {
			return "", errors.New("there is no version that all nodes may install")
		}
	}
	for i, c := range checks {
		if !slices.Contains(c.Versions, version) {
			return "", fmt.Errorf("node %s: its repository %s has no version %s that it may install; it has %s", members[i].ID, c.Source, version, strings.Join(c.Versions, ", "))
		}
	}
	return version, nil
}

func all(checks []*api.UpdateCheck, version string) bool {
	return !slices.ContainsFunc(checks, func(c *api.UpdateCheck) bool { return !slices.Contains(c.Versions, version) })
}

// ask is what a node may install, or what speaks against an upgrade of it.
func (r *Rollouts) ask(ctx context.Context, m *config.Member) (*api.UpdateCheck, string) {
	name := "node " + m.ID + ": "
	s, err := r.nodes.Look(ctx, m)
	for began := time.Now(); err != nil && time.Since(began) < r.Bear && ctx.Err() == nil; {
		pause(ctx, r.Pace)
		s, err = r.nodes.Look(ctx, m)
	}
	switch {
	case err != nil:
		return nil, name + "it does not answer: " + err.Error()
	case s.Update == nil:
		return nil, name + "updated does not answer: its image cannot be replaced from here"
	case s.Update.Error != "":
		return nil, name + s.Update.Error
	case s.Update.Paused:
		return nil, name + "an operator has paused upgrades there"
	case s.Drained:
		return nil, name + "it is drained; put it back: weirctl node undrain " + m.ID
	}
	c, err := r.nodes.Check(ctx, m)
	switch {
	case err != nil:
		return nil, name + err.Error()
	case c.Error != "":
		return nil, name + c.Error
	}
	return c, ""
}

// message is what operators see of a document.
func message(d *rollout.Document, now time.Time) *api.Rollout {
	out := &api.Rollout{Version: d.Version, Back: d.Back, AtOnce: uint32(d.AtOnce), State: string(d.State), Reason: d.Reason, Remedy: d.Remedy,
		Begun: stamp(d.Begun), Ended: stamp(d.Ended), Idle: d.Idle()}
	for i := range d.Nodes {
		n := &d.Nodes[i]
		one := &api.RolloutNode{Id: n.ID, From: n.From, To: d.Goal(n), Phase: string(n.Phase), Now: n.Now, Drained: n.Owes}
		one.TookSeconds, one.OutSeconds = span(n.Begun, n.Ended, now), span(n.Out, n.Ended, now)
		out.Nodes = append(out.Nodes, one)
	}
	return out
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// span is from a moment to its end, or to now.
func span(from, to, now time.Time) float64 {
	switch {
	case from.IsZero():
		return 0
	case to.IsZero():
		to = now
	}
	return max(0, to.Sub(from).Seconds())
}
