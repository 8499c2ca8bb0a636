package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// callTimeout bounds one call to the dataplane.
const callTimeout = 2 * time.Second

// retryApply is the time between two attempts to apply a state that the dataplane refused.
const retryApply = time.Second

// link is the way to the dataplane of this node. A Unix connection ends with
// the process at its other end, so behind every new connection may be a new
// dataplane that knows nothing. A state is of one life of the dataplane: one
// that has begun anew has no flows, and waits for the state that says so.
// Applying is idempotent.
type link struct {
	log    *slog.Logger
	socket string
	conn   *grpc.ClientConn
	client api.DataplaneClient
	wanted chan struct{}           // a new state is there
	got    func(*api.DesiredState) // is called when the dataplane has a state

	mu    sync.Mutex
	state *api.DesiredState
	boot  uint64 // of the dataplane, from its last beat; 0: not known
	err   error  // of the last attempt; nil: the state is in force
}

func newLink(log *slog.Logger, socket string, got func(*api.DesiredState)) *link {
	// The dataplane may start later or restart at any time; it is awaited at short intervals.
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}, MinConnectTimeout: time.Second}))
	if err != nil {
		panic("noded: " + err.Error()) // only a malformed target fails, and this one is made here
	}
	return &link{log: log, socket: socket, got: got, conn: conn, client: api.NewDataplaneClient(conn), wanted: make(chan struct{}, 1),
		err: fmt.Errorf("no answer yet on %s", socket)}
}

func (l *link) close() { l.conn.Close() }

// want sets the state that the dataplane shall have.
func (l *link) want(s *api.DesiredState) {
	l.mu.Lock()
	l.state = s
	l.mu.Unlock()
	l.look()
}

// look makes run see whether there is something to apply.
func (l *link) look() {
	select {
	case l.wanted <- struct{}{}:
	default: // the flag is already up
	}
}

// run applies the wanted state whenever it changes and whenever the dataplane is new.
func (l *link) run(ctx context.Context) {
	for ctx.Err() == nil {
		if s := l.conn.GetState(); s != connectivity.Ready {
			l.conn.Connect()
			l.lost(s)
			l.conn.WaitForStateChange(ctx, s)
			continue
		}
		var again <-chan time.Time
		if err := l.apply(ctx); err != nil {
			again = time.After(retryApply)
		}
		gone, cancel := context.WithCancel(ctx)
		go func() { l.conn.WaitForStateChange(gone, connectivity.Ready); cancel() }()
		select {
		case <-l.wanted:
		case <-again:
		case <-gone.Done():
		}
		cancel()
	}
}

func (l *link) lost(s connectivity.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.boot = 0
	if s == connectivity.TransientFailure {
		if l.err == nil {
			l.log.Warn("the dataplane is gone", "socket", l.socket)
		}
		l.err = fmt.Errorf("nobody answers on %s; is the dataplane running?", l.socket)
	}
}

func (l *link) apply(ctx context.Context) error {
	l.mu.Lock()
	state := l.state
	if state == nil || ownBoot(state) != l.boot {
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a, err := l.client.Apply(ctx, state)
	if err == nil && a.Generation != state.Generation {
		err = errors.New("the dataplane applied another state")
	}
	if err != nil {
		err = errors.New(status.Convert(err).Message())
	} else {
		defer l.got(state)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		if l.err == nil || l.err.Error() != err.Error() {
			l.log.Error("apply the desired state", "error", err)
		}
	default:
		l.log.Info("the dataplane has the desired state", "generation", state.Generation, "boot", fmt.Sprintf("%016x", a.BootId))
	}
	l.err = err
	return err
}

// ownBoot is the life of the dataplane that a state is for.
func ownBoot(s *api.DesiredState) uint64 {
	for _, n := range s.Nodes {
		if n.Number == s.Self {
			return n.Boot
		}
	}
	return 0
}

// beat tells the dataplane that its control plane is alive.
func (l *link) beat(ctx context.Context, r *api.BeatRequest) (*api.BeatReply, error) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	reply, err := l.client.Beat(ctx, r)
	if err != nil {
		return nil, l.plain(err)
	}
	l.mu.Lock()
	fresh := reply.BootId != l.boot
	l.boot = reply.BootId
	l.mu.Unlock()
	if fresh {
		l.look()
	}
	return reply, nil
}

// failure is why the desired state is not in force; nil: it is.
func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// status asks the dataplane for its state.
func (l *link) status(ctx context.Context) (*api.DataplaneStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := l.client.Status(ctx, &api.DataplaneStatusRequest{})
	if err != nil {
		return nil, l.plain(err)
	}
	return s, nil
}

// trace asks the dataplane for a flow.
func (l *link) trace(ctx context.Context, r *api.TraceRequest) (*api.DataplaneTrace, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return l.client.Trace(ctx, r)
}

// plain prefers what is known of the link to the words of gRPC.
func (l *link) plain(err error) error {
	if f := l.failure(); f != nil {
		return f
	}
	return errors.New(status.Convert(err).Message())
}
