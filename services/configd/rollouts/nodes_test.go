package rollouts_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/rig"
	"weir/services/configd/rollouts"
	"weir/services/identity"
	"weir/services/rollout"
)

// endpoint is a node's port for operators, with the answers of a test.
type endpoint struct {
	api.UnimplementedAdminServer

	mu       sync.Mutex
	asked    []string
	progress []*api.UpdateProgress
	refuse   error
}

func (e *endpoint) note(what string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, what)
	return e.refuse
}

// Status is of lb1.
func (e *endpoint) Status(context.Context, *api.NodeStatusRequest) (*api.NodeStatus, error) {
	return &api.NodeStatus{Id: "lb1"}, e.note("status")
}

// Drain takes two messages.
func (e *endpoint) Drain(r *api.DrainRequest, to grpc.ServerStreamingServer[api.DrainProgress]) error {
	err := e.note("drain " + map[bool]string{true: "undrain"}[r.Undrain] + map[bool]string{true: "until restart"}[r.UntilRestart])
	for _, done := range []bool{false, true} {
		if err == nil {
			err = to.Send(&api.DrainProgress{Done: done})
		}
	}
	return err
}

// update is the other service at this port.
type update struct {
	api.UnimplementedUpdateServer
	*endpoint
}

// Status is not asked: noded's has it.
func (u update) Status(context.Context, *api.UpdateStatusRequest) (*api.UpdateStatus, error) {
	return nil, status.Error(codes.Unimplemented, "")
}

// Check finds a version.
func (u update) Check(context.Context, *api.UpdateCheckRequest) (*api.UpdateCheck, error) {
	return &api.UpdateCheck{Newest: "0.2.0"}, u.note("check")
}

// Install tells the progress of the test.
func (u update) Install(r *api.UpdateInstallRequest, to grpc.ServerStreamingServer[api.UpdateProgress]) error {
	err := u.note("install " + r.Version)
	for _, p := range u.progress {
		if err == nil {
			err = to.Send(p)
		}
	}
	return err
}

// Try is noted.
func (u update) Try(context.Context, *api.UpdateTryRequest) (*api.UpdateReply, error) {
	return &api.UpdateReply{}, u.note("try")
}

// RollBack is noted.
func (u update) RollBack(_ context.Context, r *api.UpdateRollBackRequest) (*api.UpdateReply, error) {
	return &api.UpdateReply{}, u.note("roll back: " + r.Reason)
}

func TestNodesAreCalledWithTheServicesOwnCertificate(t *testing.T) {
	r := rig.New(t)
	member := &config.Member{ID: "lb1", South: netip.MustParseAddr("127.77.0.11")}
	files, err := identity.Issue(r.PKI, identity.Node, "lb1", []string{member.South.String()})
	if err != nil {
		t.Fatal(err)
	}
	node, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	me, err := identity.Load(r.Issue(identity.Configd, "main"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", member.South.String()+":6090")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{progress: []*api.UpdateProgress{{Phase: "downloads"}, {Phase: "done"}}}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(node.Server(identity.Operator, identity.Configd))))
	api.RegisterAdminServer(server, e)
	api.RegisterUpdateServer(server, update{endpoint: e})
	go server.Serve(l)
	t.Cleanup(server.Stop)
	// It calls from an address that it does not serve.
	nodes := rollouts.NewNodes(me, func(_ context.Context, node string) string { return map[string]string{"lb1": "127.77.0.99"}[node] })
	t.Cleanup(nodes.Close)

	rig.Until(t, "it is found on the fabric", func() bool {
		s, err := nodes.Look(t.Context(), member)
		return err == nil && s.Id == "lb1"
	})
	if _, err := nodes.Look(t.Context(), &config.Member{ID: "lb2", South: member.South}); err == nil || err.Error() != "node lb1 answers at its address" {
		t.Error(err)
	}
	if c, err := nodes.Check(t.Context(), member); err != nil || c.Newest != "0.2.0" {
		t.Errorf("%v, %v", c, err)
	}
	e.asked = nil
	for _, a := range []rollout.Action{{Act: rollout.Install, Version: "0.2.0"}, {Act: rollout.Drain}, {Act: rollout.Undrain}, {Act: rollout.Try}, {Act: rollout.RollBack, Reason: "why"}} {
		if err := nodes.Act(t.Context(), member, a); err != nil {
			t.Errorf("%s: %v", a.Act, err)
		}
	}
	if want := []string{"install 0.2.0", "drain until restart", "drain undrain", "try", "roll back: why"}; !slices.Equal(e.asked, want) {
		t.Errorf("%q, want %q", e.asked, want)
	}

	e.progress = []*api.UpdateProgress{{Phase: "failed", Error: "signed by too few keys"}}
	if err := nodes.Act(t.Context(), member, rollout.Action{Act: rollout.Install}); err == nil || err.Error() != "signed by too few keys" {
		t.Error(err)
	}
	e.refuse = status.Error(codes.FailedPrecondition, "paused")
	if err := nodes.Act(t.Context(), member, rollout.Action{Act: rollout.Try}); err == nil || err.Error() != "paused" {
		t.Error(err)
	}
	server.Stop()
	for _, a := range []rollout.Act{rollout.Install, rollout.Drain, rollout.Try} {
		if err := nodes.Act(t.Context(), member, rollout.Action{Act: a}); err == nil || !strings.Contains(err.Error(), "did not come through") {
			t.Errorf("%s at a node that is away: %v", a, err)
		}
	}
}
