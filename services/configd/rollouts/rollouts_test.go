package rollouts_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
)

// cluster is a service with three nodes, and an operator of it.
func cluster(t *testing.T) (*rig.Rig, api.RolloutsClient) {
	t.Helper()
	r := rig.New(t)
	r.Start()
	r.Apply(rig.Cluster(3, 3))
	return r, api.NewRolloutsClient(r.Dial(identity.Operator, "tester"))
}

// until waits for a state of the upgrade.
func until(t *testing.T, c api.RolloutsClient, what string, is func(*api.Rollout) bool) (u *api.Rollout) {
	t.Helper()
	rig.Until(t, what, func() bool {
		now, err := c.Status(t.Context(), &api.RolloutRequest{})
		if err != nil {
			return false
		}
		u = now
		return is(u)
	})
	return u
}

func idle(u *api.Rollout) bool { return u.Idle }

// run checks what every node runs, in service, and that nothing went wrong.
func run(t *testing.T, n *rig.Nodes, versions ...string) {
	t.Helper()
	for i, want := range versions {
		id := "lb" + string(rune('1'+i))
		if v, serves := n.Runs(id); v != want || !serves {
			t.Errorf("%s runs %s, in service: %v; want %s", id, v, serves, want)
		}
	}
	if len(n.Broken) > 0 {
		t.Errorf("%v; %v", n.Broken, n.Acts())
	}
}

func TestAClusterIsUpgradedAndTakenBack(t *testing.T) {
	r, c := cluster(t)
	if _, err := c.Status(t.Context(), &api.RolloutRequest{}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	u, err := c.Start(t.Context(), &api.RolloutStart{})
	if err != nil || u.Version != rig.NewVersion || u.State != "running" {
		t.Fatalf("%v, %v", u, err)
	}
	if _, err := c.Start(t.Context(), &api.RolloutStart{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a second one: %v", err)
	}
	u = until(t, c, "it is done", idle)
	if u.State != "done" || u.Nodes[2].TookSeconds == 0 || u.Nodes[2].OutSeconds == 0 || u.Nodes[2].From != rig.OldVersion {
		t.Errorf("%v", u)
	}
	run(t, r.Nodes, rig.NewVersion, rig.NewVersion, rig.NewVersion)
	if _, err := c.RollBack(t.Context(), &api.RolloutRequest{}); err != nil {
		t.Fatal(err)
	}
	if u = until(t, c, "it is back", idle); u.State != "done" || !u.Back {
		t.Errorf("%v", u)
	}
	run(t, r.Nodes, rig.OldVersion, rig.OldVersion, rig.OldVersion)
}

func TestABadVersionStopsAfterTheFirstNode(t *testing.T) {
	r, c := cluster(t)
	if _, err := c.Start(t.Context(), &api.RolloutStart{Version: rig.BadVersion}); err != nil {
		t.Fatal(err)
	}
	u := until(t, c, "it stops", idle)
	if u.State != "stopped" || !strings.Contains(u.Reason, "node lb1: version 0.3.0 has failed its trial") || !strings.Contains(u.Reason, "the dataplane does not forward") || u.Remedy == "" {
		t.Errorf("%v", u)
	}
	run(t, r.Nodes, rig.OldVersion, rig.OldVersion, rig.OldVersion)
	for _, a := range r.Nodes.Acts() {
		if !strings.HasSuffix(a, " lb1") {
			t.Error(a)
		}
	}
	if _, err := c.Start(t.Context(), &api.RolloutStart{Version: rig.NewVersion}); err != nil {
		t.Errorf("another version after it: %v", err)
	}
	if u := until(t, c, "it is done", idle); u.State != "done" {
		t.Errorf("%v", u)
	}
}

func TestAnotherRunnerGoesOnWhenOneDies(t *testing.T) {
	r, c := cluster(t)
	if _, err := c.Start(t.Context(), &api.RolloutStart{}); err != nil {
		t.Fatal(err)
	}
	for _, act := range []string{"drain lb1", "try lb2"} {
		rig.Until(t, act, func() bool { return slices.Contains(r.Nodes.Acts(), act) })
		r.Stop()
		r.Start()
	}
	if u := until(t, c, "it is done", idle); u.State != "done" {
		t.Errorf("%v", u)
	}
	run(t, r.Nodes, rig.NewVersion, rig.NewVersion, rig.NewVersion)
}

func TestPauseFinishesTheNodeThatIsOutOfService(t *testing.T) {
	r, c := cluster(t)
	if _, err := c.Start(t.Context(), &api.RolloutStart{}); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, "lb1 leaves", func() bool { return slices.Contains(r.Nodes.Acts(), "drain lb1") })
	if _, err := c.Pause(t.Context(), &api.RolloutRequest{}); err != nil {
		t.Fatal(err)
	}
	if u := until(t, c, "it pauses", idle); u.State != "paused" {
		t.Errorf("%v", u)
	}
	run(t, r.Nodes, rig.NewVersion, rig.OldVersion, rig.OldVersion)
	if _, err := c.Resume(t.Context(), &api.RolloutRequest{}); err != nil {
		t.Fatal(err)
	}
	until(t, c, "it is done", func(u *api.Rollout) bool { return u.State == "done" })
	run(t, r.Nodes, rig.NewVersion, rig.NewVersion, rig.NewVersion)
}

func TestNothingBeginsUnlessEveryNodeCan(t *testing.T) {
	r, c := cluster(t)
	r.Nodes.Away = "lb2"
	_, err := c.Start(t.Context(), &api.RolloutStart{})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "node lb2: it does not answer: no route to host") {
		t.Error(err)
	}
	r.Nodes.Away = ""
	if _, err = c.Start(t.Context(), &api.RolloutStart{Version: "9.9.9"}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "has no version 9.9.9") {
		t.Error(err)
	}
	if _, err = c.Start(t.Context(), &api.RolloutStart{Version: "../x"}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	if len(r.Nodes.Acts()) > 0 {
		t.Error(r.Nodes.Acts())
	}
}

func TestOnlyOperatorsUpgrade(t *testing.T) {
	r, _ := cluster(t)
	c := api.NewRolloutsClient(r.Dial(identity.Node, "lb1"))
	for what, call := range map[string]func() error{
		"start":    func() error { _, err := c.Start(t.Context(), &api.RolloutStart{}); return err },
		"status":   func() error { _, err := c.Status(t.Context(), &api.RolloutRequest{}); return err },
		"rollback": func() error { _, err := c.RollBack(t.Context(), &api.RolloutRequest{}); return err },
	} {
		if err := call(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
}
