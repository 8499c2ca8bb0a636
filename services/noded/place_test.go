package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"weir/qemu/netns/nstest"
	"weir/services/api"
)

// TestMain runs the tests in a fresh network namespace that has the addresses
// of node lb1.
func TestMain(m *testing.M) {
	nstest.Single(m,
		"link set lo up", "tuntap add weir-north mode tap", "link set weir-north up",
		"address add 10.10.0.11/24 dev weir-north", "address add 10.10.0.102/24 dev weir-north", "address add 10.10.0.103/24 dev weir-north",
		"tuntap add weir-south mode tap", "link set weir-south up", "address add 10.20.0.11/24 dev weir-south",
	)
}

// ip changes the network of these tests.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v: %s", args, err, out)
	}
}

// fakeDataplane remembers what was applied.
type fakeDataplane struct {
	api.UnimplementedDataplaneServer
	boot    uint64
	mu      sync.Mutex
	applied []*api.DesiredState
}

func newFakeDataplane() *fakeDataplane { return &fakeDataplane{boot: randomBoot()} }

func (f *fakeDataplane) Beat(context.Context, *api.BeatRequest) (*api.BeatReply, error) {
	s := f.last()
	return &api.BeatReply{BootId: f.boot, Generation: s.GetGeneration(), Epoch: s.GetEpoch(), SyncedEpoch: s.GetEpoch(), Ready: true}, nil
}

func (f *fakeDataplane) Apply(_ context.Context, s *api.DesiredState) (*api.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = append(f.applied, s)
	return &api.Applied{BootId: f.boot, Generation: s.Generation}, nil
}

func (f *fakeDataplane) Status(context.Context, *api.DataplaneStatusRequest) (*api.DataplaneStatus, error) {
	return &api.DataplaneStatus{
		Version: "1.2.3", UptimeSeconds: 5,
		Flows:    &api.Flows{Established: 7, HalfOpen: 3, Capacity: 1000, HalfOpenCapacity: 100},
		Drops:    map[string]uint64{"bad_tag": 9, "stranger": 0},
		Counters: map[string]uint64{"ingress_forwarded": 42},
		Messages: []*api.MessageCount{{Type: "offer", Direction: "out", Count: 11}},
		Ports:    []*api.Port{{Name: "north", Device: "af_packet:north0", LinkUp: true, RxPackets: 100}},
		Workers:  []*api.Worker{{Index: 0, Core: -1, Stage: "all", Busy: 0.25}},
	}, nil
}

func (f *fakeDataplane) Trace(_ context.Context, r *api.TraceRequest) (*api.DataplaneTrace, error) {
	return &api.DataplaneTrace{Primary: 2, Secondary: 3, Endpoint: r.Vip, Ingress: &api.TraceEntry{State: "established", Server: 1}}, nil
}

func (f *fakeDataplane) last() *api.DesiredState {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.applied) == 0 {
		return nil
	}
	return f.applied[len(f.applied)-1]
}

// serve runs the fake until the returned function is called.
func (f *fakeDataplane) serve(t *testing.T, socket string) (stop func()) {
	t.Helper()
	os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	api.RegisterDataplaneServer(s, f)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return s.Stop
}

// place is a folder with the files of node lb1.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T, change func(string) string) *place {
	t.Helper()
	p := &place{t, t.TempDir()}
	for _, name := range []string{"node.yaml", "cluster.yaml", "cluster.key"} {
		b, err := os.ReadFile(filepath.Join("../config/testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		s := strings.Replace(string(b), "10.20.0.11:9100", "127.0.0.1:19100", 1)
		s = strings.Replace(s, "run_dir: run", "run_dir: run\nstate_dir: state", 1)
		if name == "cluster.yaml" { // a node that is alone joins sooner
			s += "health: {interval: 20ms}\npublishing: {interval: 100ms, lease: 1s}\n"
		}
		if change != nil {
			s = change(s)
		}
		p.write(name, s)
	}
	if err := os.Mkdir(p.path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, s string) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(s), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) edit(name, old, new string) {
	p.t.Helper()
	b, err := os.ReadFile(p.path(name))
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name, strings.Replace(string(b), old, new, 1))
}

// isEmpty makes sure that nothing is left in a folder.
func (p *place) isEmpty(name string) {
	p.t.Helper()
	left, err := os.ReadDir(p.path(name))
	if err != nil || len(left) > 0 {
		p.t.Errorf("left behind: %v %v", left, err)
	}
}

// start runs noded; stop ends it and gives its error.
func (p *place) start() (stop func() error) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, slog.New(slog.NewTextHandler(p.t.Output(), nil)), p.path("node.yaml")) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	p.t.Cleanup(func() { stop() })
	return stop
}

func (p *place) status() (*api.NodeStatus, error) {
	conn, err := grpc.NewClient("unix:"+p.path("run/noded.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return api.NewAdminClient(conn).Status(ctx, &api.NodeStatusRequest{})
}

// phaseOf is where the first node stands; empty before there is a configuration.
func phaseOf(s *api.NodeStatus) string {
	if len(s.Nodes) == 0 {
		return ""
	}
	return s.Nodes[0].Phase
}

// eventually waits until the node's status satisfies ok.
func (p *place) eventually(what string, ok func(*api.NodeStatus) bool) *api.NodeStatus {
	p.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		s, err := p.status()
		if err == nil && ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not in time: %v %v", what, s, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
