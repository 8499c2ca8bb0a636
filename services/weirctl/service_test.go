package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/services/api"
	"weir/services/config"
	"weir/services/configd/rig"
	"weir/services/confsource"
	"weir/services/identity"
	"weir/services/state"
)

// serviceLab runs a real configuration service and makes its lab's folder the
// current one.
func serviceLab(t *testing.T) *rig.Rig {
	t.Helper()
	t.Chdir(t.TempDir())
	r := rig.New(t)
	r.Start()
	me := r.Issue(identity.Operator, "me")
	lab := map[string]any{"config": map[string]string{"address": r.Address.String(), "ca": me.CA, "cert": me.Cert, "key": me.Key}}
	b, err := json.Marshal(lab)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("build/lab", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "build/lab/lab.json", string(b))
	return r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wants checks the output of a command.
func wants(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%q is not in:\n%s", p, got)
		}
	}
}

func TestAClusterFileIsAppliedShownAndCompared(t *testing.T) {
	serviceLab(t)
	write(t, "cluster.yaml", rig.Cluster(3, 3))
	wants(t, ctl("--lab", "get"), "no cluster file is applied yet", "exit 3")
	wants(t, ctl("--lab", "diff", "-f", "cluster.yaml"), "--- revision 0\n+++ cluster.yaml\n", "+cluster: {name: test, id: 1}", "exit 1")
	wants(t, ctl("--lab", "apply", "-f", "cluster.yaml"), "cluster.yaml is revision", "exit 0")
	wants(t, ctl("--lab", "apply", "-f", "cluster.yaml"), "already", "exit 0")
	if got := ctl("--lab", "get"); got != "$ weirctl --lab get\n"+rig.Cluster(3, 3)+"--- exit 0\n" {
		t.Error(got)
	}
	if got := ctl("--lab", "diff", "-f", "cluster.yaml"); got != "$ weirctl --lab diff -f cluster.yaml\n--- exit 0\n" {
		t.Error(got)
	}
	write(t, "cluster.yaml", strings.Replace(rig.Cluster(3, 3), "10.20.1.3}", "10.20.1.3, weight: 50}", 1))
	got := ctl("--lab", "diff", "-f", "cluster.yaml")
	wants(t, got, "-  - {id: srv3, number: 3, address: 10.20.1.3}\n+  - {id: srv3, number: 3, address: 10.20.1.3, weight: 50}\n", "exit 1")
	if strings.Contains(got, "stderr") {
		t.Error(got)
	}
	wants(t, ctl("--lab", "diff"), "name the cluster file: -f FILE", "exit 2")
	wants(t, ctl("--lab", "diff", "-f", "none.yaml"), "no such file", "exit 2")
}

func TestABadFileIsNotApplied(t *testing.T) {
	serviceLab(t)
	good := rig.Cluster(3, 3)
	write(t, "cluster.yaml", good)
	wants(t, ctl("--lab", "apply", "-f", "cluster.yaml"), "exit 0")
	write(t, "bad.yaml", strings.Replace(strings.Replace(good, "number: 2", "number: 1", 1), "10.20.1.3", "10.20.1.2", 1))
	wants(t, ctl("--lab", "apply", "-f", "bad.yaml"), "weirctl: bad.yaml:4: nodes[1].number: number 1 is already used", "\nweirctl: bad.yaml:9: servers[2].address:", "exit 2")
	write(t, "other.yaml", strings.Replace(good, "name: test", "name: other", 1))
	wants(t, ctl("--lab", "apply", "-f", "other.yaml"), `this service is of cluster "test"`, "exit 2")
	write(t, "less.yaml", rig.Cluster(2, 3))
	wants(t, ctl("--lab", "apply", "-f", "less.yaml"), "it removes 1 of 3 nodes: lb3; if this is meant, apply with --allow-removal", "exit 1")
	wants(t, ctl("--lab", "apply", "-f", "less.yaml", "--allow-removal"), "less.yaml is revision", "exit 0")
	write(t, "keyed.yaml", "key_file: cluster.key\n"+rig.Cluster(2, 3))
	wants(t, ctl("--lab", "apply", "-f", "keyed.yaml"), "warning: key_file is not used", "exit 0")
}

func TestTheServiceIsCalledAsTheFlagsSay(t *testing.T) {
	r := serviceLab(t)
	r.Apply(rig.Cluster(3, 3))
	f := r.Issue(identity.Operator, "me")
	as := func(address string, f identity.Files) string {
		return ctl("--config-service", address, "--ca", f.CA, "--cert", f.Cert, "--key", f.Key, "get")
	}
	wants(t, as(r.Address.String(), f), "name: test", "exit 0")
	wants(t, as(r.Address.String(), r.Issue(identity.Node, "lb1")), "node lb1 of cluster test may not do this", "exit 1")
	wants(t, as("127.0.0.1", f), "does not answer", ":6092", "exit 1")
	wants(t, as(r.Address.String(), identity.Files{CA: "none"}), "no such file", "exit 2")
	wants(t, ctl("get"), "name the configuration service: --config-service ADDR", "exit 2")
}

// machines are sources that put everything in force at once.
type machines struct {
	t *testing.T
	r *rig.Rig
}

// start starts one; the returned function ends it.
func (m machines) start(role identity.Role, id string) (stop func()) {
	m.t.Helper()
	dir := m.t.TempDir()
	db, err := state.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	f := m.r.Issue(role, id)
	s, err := confsource.Open(m.t.Context(), slog.New(slog.DiscardHandler), confsource.Options{Role: role, ID: id, State: db, StateDir: dir,
		Service: config.ConfigService{Addresses: []netip.AddrPort{m.r.Address}, CA: f.CA, Cert: f.Cert, Key: f.Key}})
	if err != nil {
		m.t.Fatal(err)
	}
	s.InForce(s.Current(), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case c := <-s.Changes():
				s.InForce(c, nil)
			case <-ctx.Done():
				return
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
		s.Close()
		db.Close()
	}
	m.t.Cleanup(func() { cancel() })
	return stop
}

func TestKeysRotateWhenEverybodyIsThere(t *testing.T) {
	r := serviceLab(t)
	r.Apply(rig.Cluster(2, 2))
	all := machines{t, r}
	defer all.start(identity.Node, "lb1")()
	defer all.start(identity.Node, "lb2")()
	defer all.start(identity.Server, "srv1")()
	before := ctl("--lab", "keys", "status")
	wants(t, before, "one key is in use")
	wants(t, ctl("--lab", "keys", "rotate"), "the new key is accepted", "the new key is in use, the old one is accepted", "one key is in use", "done: key", "exit 0")
	if after := ctl("--lab", "keys", "status"); after == before || strings.Contains(after, "waiting") {
		t.Error(after)
	}
	var rows []registrationRow
	out := ctl("--lab", "registrations", "-o", "json")
	if err := json.Unmarshal([]byte(strings.Split(strings.SplitN(out, "\n", 2)[1], "--- exit")[0]), &rows); err != nil {
		t.Fatal(err)
	}
	states := ""
	for _, row := range rows {
		states += row.ID + " " + row.State + ", "
	}
	if states != "lb1 current, lb2 current, srv1 current, srv2 unknown, " {
		t.Error(states)
	}
	wants(t, ctl("--lab", "registrations"), "KIND", "srv2", "never")
}

func TestARotationThatWasInterruptedIsFinishedByTheNext(t *testing.T) {
	r := serviceLab(t)
	r.Apply(rig.Cluster(2, 2))
	all := machines{t, r}
	defer all.start(identity.Node, "lb1")()
	everybody := func() {
		t.Helper()
		rig.Until(t, "everybody is current", func() bool { return !strings.Contains(ctl("--lab", "keys", "status"), "waiting") })
	}
	leave := all.start(identity.Node, "lb2")
	everybody()
	leave()
	operator := r.Operator()
	step := func(want string) {
		t.Helper()
		now, err := operator.Keys(t.Context(), &api.KeysRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := operator.ChangeKeys(t.Context(), &api.KeysChange{To: (now.Phase + 1) % 3, ExpectedRevision: now.Revision}); err != nil {
			t.Fatal(err)
		}
		wants(t, ctl("--lab", "keys", "status"), want, "waiting for", "node lb2")
	}
	step("the new key is accepted")
	// rotate waits for lb2 for as long as it is away.
	var out strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- rotate(ctx, operator, writerFunc(func(b []byte) { out.Write(b); cancel() })) }()
	if err := <-done; err == nil {
		t.Error("it did not wait")
	}
	wants(t, out.String(), "going on with the rotation that was begun before: the new key is accepted")
	leave = all.start(identity.Node, "lb2")
	everybody()
	leave()
	step("the new key is in use, the old one is accepted")
	defer all.start(identity.Node, "lb2")()
	wants(t, ctl("--lab", "keys", "rotate"), "going on with the rotation that was begun before: the new key is in use", "done: key", "exit 0")
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestCertificatesAreMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	wants(t, ctl("certs", "create-ca", dir), "--cluster NAME", "exit 2")
	wants(t, ctl("certs", "create-ca", "--cluster", "lab", dir), "is the authority of cluster lab", "exit 0")
	wants(t, ctl("certs", "create-ca", "--cluster", "lab", dir), "has an authority already", "exit 1")
	wants(t, ctl("certs", "issue", "--dir", dir, "node", "lb1", "--address", "10.20.0.11"), "node-lb1.crt", "exit 0")
	wants(t, ctl("certs", "issue", "--dir", dir, "configd", "main"), "without --address nobody can call", "exit 0")
	wants(t, ctl("certs", "issue", "--dir", dir, "boss", "me"), `"boss" is not a role; use one of: node, server, operator, configd`, "exit 1")
	wants(t, ctl("certs", "issue", "--dir", dir, "node"), "takes 2 arguments: ROLE ID", "exit 2")
}

// drainingNode is a node that can be drained.
type drainingNode struct {
	fakeNode
	broken bool
}

func (d *drainingNode) Drain(q *api.DrainRequest, to grpc.ServerStreamingServer[api.DrainProgress]) error {
	if err := to.Send(&api.DrainProgress{Phase: "routers withdraw"}); err != nil || d.broken {
		return err
	}
	return to.Send(&api.DrainProgress{Phase: fmt.Sprintf("drained: %v", !q.Undrain), Done: true})
}

func TestANodeIsDrainedThroughItsSocketOrOverTheNetwork(t *testing.T) {
	r := serviceLab(t)
	me, err := identity.Load(r.Issue(identity.Node, "lb1"))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	remote := grpc.NewServer(grpc.Creds(credentials.NewTLS(me.Server(identity.Operator))))
	broken := grpc.NewServer()
	api.RegisterAdminServer(s, &drainingNode{fakeNode: fakeNode{n: 1}})
	api.RegisterAdminServer(remote, &drainingNode{fakeNode: fakeNode{n: 1}})
	api.RegisterAdminServer(broken, &drainingNode{fakeNode: fakeNode{n: 1}, broken: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(listen(t, "./lb1.sock"))
	go broken.Serve(listen(t, "./broken.sock"))
	go remote.Serve(l)
	defer s.Stop()
	defer remote.Stop()
	defer broken.Stop()
	wants(t, ctl("--node", "./lb1.sock", "node", "drain", "lb1"), "lb1: routers withdraw\nlb1: drained: true\n", "exit 0")
	wants(t, ctl("--node", "./lb1.sock", "node", "undrain", "lb1"), "lb1: drained: false\n", "exit 0")
	wants(t, ctl("--node", "./lb1.sock", "node", "drain", "lb2"), `no node "lb2" is known here`, "exit 3")
	wants(t, ctl("--node", "./broken.sock", "node", "drain", "lb1"), "ended before it was done", "exit 1")
	as := func(f identity.Files) string {
		return ctl("--node", l.Addr().String(), "--ca", f.CA, "--cert", f.Cert, "--key", f.Key, "node", "drain", "lb1")
	}
	wants(t, as(r.Issue(identity.Operator, "me")), "lb1: drained: true\n", "exit 0")
	wants(t, as(r.Issue(identity.Server, "srv1")), "exit 1")
}
