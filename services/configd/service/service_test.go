package service_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
)

func start(t *testing.T) *rig.Rig {
	t.Helper()
	r := rig.New(t)
	r.Start()
	return r
}

func watch(t *testing.T, c api.ConfigClient) grpc.ServerStreamingClient[api.Snapshot] {
	t.Helper()
	w, err := c.Watch(t.Context(), &api.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func receive(t *testing.T, w grpc.ServerStreamingClient[api.Snapshot]) *api.Snapshot {
	t.Helper()
	s, err := w.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func apply(t *testing.T, r *rig.Rig, change func(*api.ApplyRequest)) error {
	t.Helper()
	operator := r.Operator()
	now, err := operator.Get(t.Context(), &api.GetRequest{})
	if err != nil {
		t.Fatal(err)
	}
	q := &api.ApplyRequest{File: "cluster.yaml", ExpectedRevision: now.Revision}
	change(q)
	_, err = operator.Apply(t.Context(), q)
	return err
}

func TestOnlyWhatIsInTheClusterFileIsTold(t *testing.T) {
	r := start(t)
	node, stranger, server := r.Client(identity.Node, "lb1"), r.Client(identity.Node, "lb9"), r.Client(identity.Server, "srv1")
	wn, wx, ws := watch(t, node), watch(t, stranger), watch(t, server)
	for _, w := range []grpc.ServerStreamingClient[api.Snapshot]{wn, wx, ws} {
		if s := receive(t, w); !s.Pending || s.Cluster != "" || s.Keys != nil {
			t.Errorf("before the first apply: pending %v", s.Pending)
		}
	}
	for _, c := range []api.ConfigClient{node, stranger} {
		if _, err := c.Report(t.Context(), &api.Registration{Version: "1", Boot: 7}); err != nil {
			t.Fatal(err)
		}
	}
	text := rig.Cluster(3, 3) + "routers:\n  - {address: 10.10.0.254, asn: 65000, password: hush}\nbgp: {asn: 65001}\n"
	text = strings.ReplaceAll(text, "south: 10.20.0.", "bgp: {left: 10.11.0.N, right: 10.12.0.N}, south: 10.20.0.")
	for _, n := range []string{"1", "2", "3"} {
		text = strings.Replace(text, "10.11.0.N, right: 10.12.0.N", "10.11.0."+n+", right: 10.12.0."+n, 1)
	}
	revision := r.Apply(text)
	if s := receive(t, wn); s.Pending || s.Cluster != text || s.Revision != revision || len(s.Keys.Base) != 32 || len(s.Keys.Control) != 1 {
		t.Errorf("the node is told pending %v, revision %d", s.Pending, s.Revision)
	}
	if s := receive(t, ws); s.Pending || strings.Contains(s.Cluster, "hush") || !strings.Contains(s.Cluster, "srv3") {
		t.Errorf("the server is told %q", s.Cluster)
	}
	if s := receive(t, wx); !s.Pending || s.Cluster != "" || s.Keys != nil {
		t.Errorf("the stranger is told %q", s.Cluster)
	}
	list, err := r.Operator().Registrations(t.Context(), &api.RegistrationsRequest{})
	if err != nil || len(list.List) != 7 {
		t.Fatalf("%v, %v", list, err)
	}
	got := map[string]*api.Registered{}
	for _, one := range list.List {
		got[one.Id] = one
	}
	if x := got["lb9"]; x.Approved || x.Said.GetBoot() != 7 {
		t.Errorf("the stranger: %v", x)
	}
	if x := got["lb1"]; !x.Approved || x.Current || x.SeenSeconds < 0 {
		t.Errorf("the node: %v", x)
	}
	if x := got["srv2"]; !x.Approved || x.Said != nil || x.SeenSeconds >= 0 {
		t.Errorf("who never reported: %v", x)
	}
}

func TestEachRoleMayDoItsPart(t *testing.T) {
	r := start(t)
	node, operator := r.Client(identity.Node, "lb1"), r.Operator()
	for name, call := range map[string]func(context.Context) error{
		"get":   func(c context.Context) error { _, err := node.Get(c, &api.GetRequest{}); return err },
		"apply": func(c context.Context) error { _, err := node.Apply(c, &api.ApplyRequest{}); return err },
		"registrations": func(c context.Context) error {
			_, err := node.Registrations(c, &api.RegistrationsRequest{})
			return err
		},
		"keys":        func(c context.Context) error { _, err := node.Keys(c, &api.KeysRequest{}); return err },
		"change keys": func(c context.Context) error { _, err := node.ChangeKeys(c, &api.KeysChange{}); return err },
		"report":      func(c context.Context) error { _, err := operator.Report(c, &api.Registration{}); return err },
		"watch": func(c context.Context) error {
			w, err := operator.Watch(c, &api.WatchRequest{})
			if err == nil {
				_, err = w.Recv()
			}
			return err
		},
	} {
		if err := call(t.Context()); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrangersGetNoConnection(t *testing.T) {
	r := start(t)
	other := rig.New(t) // has an authority of its own
	other.Address = r.Address
	if _, err := other.Operator().Get(t.Context(), &api.GetRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("another authority: %v", err)
	}
	if _, err := r.Client(identity.Configd, "other").Get(t.Context(), &api.GetRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a role that asks nothing: %v", err)
	}
}

func TestABadClusterFileIsRefusedWithItsLines(t *testing.T) {
	r := start(t)
	good := rig.Cluster(3, 3)
	r.Apply(good)
	for name, c := range map[string]struct {
		text string
		code codes.Code
		want string
	}{
		"two errors": {strings.Replace(strings.Replace(good, "number: 2", "number: 1", 1), "10.20.1.3", "10.20.1.2", 1), codes.InvalidArgument,
			"cluster.yaml:4: nodes[1].number: number 1 is already used by nodes[0].number; give each its own\ncluster.yaml:9: servers[2].address:"},
		"unknown key":     {good + "colour: red\n", codes.InvalidArgument, "cluster.yaml:12: colour: unknown key"},
		"another cluster": {strings.Replace(good, "name: test", "name: other", 1), codes.InvalidArgument, `this service is of cluster "test"`},
		"empty":           {"", codes.InvalidArgument, "the file is empty"},
		"removal":         {rig.Cluster(2, 3), codes.FailedPrecondition, "it removes 1 of 3 nodes: lb3; if this is meant, apply with --allow-removal"},
		"servers":         {rig.Cluster(3, 2), codes.FailedPrecondition, "it removes 1 of 3 servers: srv3"},
	} {
		err := apply(t, r, func(q *api.ApplyRequest) { q.Cluster = c.text })
		if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := apply(t, r, func(q *api.ApplyRequest) { q.Cluster = good + "\n"; q.ExpectedRevision-- }); status.Code(err) != codes.Aborted {
		t.Errorf("another revision: %v", err)
	}
	now, err := r.Operator().Get(t.Context(), &api.GetRequest{})
	if err != nil || now.Cluster != good {
		t.Errorf("a refused file changed something: %v, %v", now, err)
	}
	if err := apply(t, r, func(q *api.ApplyRequest) { q.Cluster, q.AllowRemoval = rig.Cluster(1, 1), true }); err != nil {
		t.Errorf("allowed: %v", err)
	}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	r := start(t)
	text := rig.Cluster(1, 1)
	r.Apply(text)
	before := receive(t, watch(t, r.Client(identity.Node, "lb1")))
	r.Stop()
	r.Start()
	after := receive(t, watch(t, r.Client(identity.Node, "lb1")))
	if after.Cluster != text || after.Revision != before.Revision || after.Store != before.Store || string(after.Keys.Base) != string(before.Keys.Base) {
		t.Errorf("revision %d became %d, store %s became %s", before.Revision, after.Revision, before.Store, after.Store)
	}
}

func TestKeysRotateInStepsThatEverybodyHasInForce(t *testing.T) {
	r := start(t)
	r.Apply(rig.Cluster(3, 1))
	operator, node := r.Operator(), r.Client(identity.Node, "lb1")
	w := watch(t, node)
	snapshot := receive(t, w)
	first := snapshot.Keys
	report := func() {
		t.Helper()
		if _, err := node.Report(t.Context(), &api.Registration{Store: snapshot.Store, Revision: snapshot.Revision}); err != nil {
			t.Fatal(err)
		}
	}
	report()
	k, err := operator.Keys(t.Context(), &api.KeysRequest{})
	if err != nil || k.Phase != api.KeysPhase_KEYS_STEADY || len(k.Waiting) != 0 || len(k.Ids) != 1 {
		t.Fatalf("%v, %v", k, err)
	}
	if _, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: api.KeysPhase_KEYS_SEALING, ExpectedRevision: k.Revision}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a step is left out: %v", err)
	}
	for i, to := range []api.KeysPhase{api.KeysPhase_KEYS_ADDED, api.KeysPhase_KEYS_SEALING, api.KeysPhase_KEYS_STEADY} {
		now, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: to, ExpectedRevision: k.Revision})
		if err != nil {
			t.Fatal(err)
		}
		if len(now.Waiting) != 1 || now.Waiting[0].Id != "lb1" {
			t.Errorf("%s waits for %v", to, now.Waiting)
		}
		next := (to + 1) % 3
		if _, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: next, ExpectedRevision: now.Revision}); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("not waited for: %v", err)
		}
		if _, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: next, ExpectedRevision: k.Revision}); status.Code(err) != codes.Aborted {
			t.Errorf("an old revision: %v", err)
		}
		snapshot = receive(t, w)
		want := []int{2, 2, 1}[i]
		if len(snapshot.Keys.Control) != want || (snapshot.Keys.Control[0].Id == first.Control[0].Id) != (i == 0) || string(snapshot.Keys.Base) != string(first.Base) {
			t.Errorf("%s: %d keys", to, len(snapshot.Keys.Control))
		}
		report()
		k = now
	}
}
