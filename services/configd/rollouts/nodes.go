package rollouts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/firmware/gate"
	"weir/services/api"
	"weir/services/config"
	"weir/services/identity"
	"weir/services/rollout"
	"weir/services/updated/plan"
)

// adminPort is where nodes listen for who may operate them (contract).
const adminPort = 6090

// askTimeout bounds one question to a node, which may be busy, and checkTimeout one
// that has it look at its repository.
const (
	askTimeout   = 10 * time.Second
	checkTimeout = 45 * time.Second
)

// Nodes calls nodes over mutual TLS, at the addresses that they call the service
// from, which are those of the control network if there is one, or else on the
// fabric.
type Nodes struct {
	me     *identity.Identity
	caller func(ctx context.Context, node string) string // where it calls from; empty: not known

	mu    sync.Mutex
	links map[string]*link // by node
}

// link is the way to a node.
type link struct {
	*grpc.ClientConn
	at netip.Addr
}

// NewNodes calls as this identity, which is a configuration service's. caller tells
// the address that a node calls the service from.
func NewNodes(me *identity.Identity, caller func(ctx context.Context, node string) string) *Nodes {
	return &Nodes{me: me, caller: caller, links: map[string]*link{}}
}

// Close ends all connections.
func (n *Nodes) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, l := range n.links {
		l.Close()
		delete(n.links, id)
	}
}

// link is the way to a node that is in use, or a new one.
func (n *Nodes) link(ctx context.Context, m *config.Member) (*link, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.links[m.ID]; l != nil {
		return l, nil
	}
	at := m.South
	if a, err := netip.ParseAddr(n.caller(ctx, m.ID)); err == nil {
		at = a
	}
	return n.open(m, at)
}

func (n *Nodes) open(m *config.Member, at netip.Addr) (*link, error) {
	// A node that restarts is called again soon.
	again := backoff.Config{BaseDelay: time.Second, Multiplier: 1, MaxDelay: time.Second}
	c, err := grpc.NewClient("passthrough:"+netip.AddrPortFrom(at, adminPort).String(), grpc.WithTransportCredentials(credentials.NewTLS(n.me.Client(identity.Node))),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: askTimeout}))
	if err != nil {
		return nil, err
	}
	l := &link{c, at}
	n.links[m.ID] = l
	return l, nil
}

// other gives up a way that leads nowhere: the next call goes by the fabric, or
// anew by where the node calls from.
func (n *Nodes) other(m *config.Member, l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[m.ID] != l {
		return
	}
	l.Close()
	delete(n.links, m.ID)
	if l.at != m.South {
		_, _ = n.open(m, m.South)
	}
}

// Look is what a node says of itself; an error is why it says nothing.
func (n *Nodes) Look(ctx context.Context, m *config.Member) (*api.NodeStatus, error) {
	c, err := n.link(ctx, m)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := api.NewAdminClient(c).Status(ctx, &api.NodeStatusRequest{})
	if err != nil {
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
			n.other(m, c)
		}
		return nil, errors.New(status.Convert(err).Message())
	}
	if s.Id != m.ID {
		return nil, fmt.Errorf("node %s answers at its address", s.Id)
	}
	return s, nil
}

// Check has a node look at its repository.
func (n *Nodes) Check(ctx context.Context, m *config.Member) (*api.UpdateCheck, error) {
	c, err := n.link(ctx, m)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out, err := api.NewUpdateClient(c).Check(ctx, &api.UpdateCheckRequest{})
	if err != nil {
		return nil, errors.New(status.Convert(err).Message())
	}
	return out, nil
}

// errTransient is for what failed on the way, and may have happened.
var errTransient = errors.New("the call did not come through")

// Act does something at a node, and returns when it is done, or refused there.
func (n *Nodes) Act(ctx context.Context, m *config.Member, a rollout.Action) error {
	c, err := n.link(ctx, m)
	if err != nil {
		return err
	}
	update := api.NewUpdateClient(c)
	short, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	switch a.Act {
	case rollout.Install:
		err = install(ctx, update, a.Version)
	case rollout.Drain, rollout.Undrain:
		err = drain(ctx, api.NewAdminClient(c), a.Act == rollout.Undrain)
	case rollout.Try:
		_, err = update.Try(short, &api.UpdateTryRequest{})
	case rollout.RollBack:
		_, err = update.RollBack(short, &api.UpdateRollBackRequest{Reason: a.Reason})
	}
	if err == nil || errors.Is(err, errTransient) {
		return err
	}
	s, isStatus := status.FromError(err)
	switch {
	case !isStatus:
		return err
	case s.Code() == codes.Unavailable || s.Code() == codes.DeadlineExceeded || s.Code() == codes.Canceled || s.Code() == codes.Aborted:
		return fmt.Errorf("%w: %s", errTransient, s.Message())
	}
	return errors.New(s.Message())
}

func install(ctx context.Context, c api.UpdateClient, version string) error {
	stream, err := c.Install(ctx, &api.UpdateInstallRequest{Version: version})
	var last *api.UpdateProgress
	for err == nil {
		var p *api.UpdateProgress
		if p, err = stream.Recv(); err == nil {
			last = p
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		return err
	case last.GetPhase() == "failed":
		return errors.New(last.Error)
	case last.GetPhase() != "done":
		return errTransient
	}
	return nil
}

func drain(ctx context.Context, c api.AdminClient, undrain bool) error {
	stream, err := c.Drain(ctx, &api.DrainRequest{Undrain: undrain, UntilRestart: !undrain})
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// fact is what the planner wants to know.
func fact(m *config.Member, s *api.NodeStatus, err error) rollout.Fact {
	f := rollout.Fact{ID: m.ID, Domain: m.Domain}
	if err != nil {
		f.Silent = err.Error()
		return f
	}
	f.Version, f.Drained, f.Leaving, f.Update = s.Version, s.Drained, s.Drained, s.Update
	if s.Update.GetVersion() != "" {
		f.Version = s.Update.Version
	}
	f.Up = time.Duration(s.Boot.GetUptimeSeconds() * float64(time.Second))
	for _, v := range s.Nodes {
		if v.Id == s.Id && (v.Phase == api.PhaseLeaving || v.Phase == api.PhaseDrained) {
			f.Leaving = true
		}
	}
	f.Unwell = unwell(s)
	if s.Update == nil {
		f.UpdateSilent = "it does not run on this node"
		for _, a := range s.Alarms {
			if why, found := strings.CutPrefix(a, "ask updated: "); found {
				f.UpdateSilent = why
			}
		}
	}
	return f
}

// unwell is why a node is not in full service, as its own health gate would see it.
func unwell(s *api.NodeStatus) string {
	var o plan.Observer
	v := gate.New(gate.DefaultLimits, time.Time{}).Observe(time.Time{}.Add(time.Second), o.Observe(s))
	return strings.Join(v.Reasons, "; ")
}
