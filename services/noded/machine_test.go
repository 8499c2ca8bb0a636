package main

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"weir/services/api"
	"weir/services/config"
	"weir/services/state"
)

// fakeInit is the machine's init.
type fakeInit struct {
	api.UnimplementedMachineServer
	mu       sync.Mutex
	status   *api.BootStatus
	services []*api.Service
}

func (f *fakeInit) Boot(context.Context, *api.BootRequest) (*api.BootStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, nil
}

func (f *fakeInit) Services(context.Context, *api.ServicesRequest) (*api.ServicesStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &api.ServicesStatus{Services: f.services}, nil
}

func serveInit(t *testing.T, p *place) *fakeInit {
	t.Helper()
	f := &fakeInit{
		status: &api.BootStatus{Version: "9.9.9", Slot: "a", Identity: &api.Identity{Serial: "WEIR-1"},
			Phases: []*api.Phase{
				{Name: "mounts", Result: "ok", StartedSeconds: 0.5, TookSeconds: 0.1},
				{Name: "nics", Result: "degraded", Reason: "north: no NIC at 0000:00:03.0", Remedy: "correct dataplane.north.device"},
			},
			Crashes: []*api.CrashRecord{{Name: "panic-2", Time: "2026-11-02T00:00:00Z", Text: "newer"}, {Name: "panic-1", Time: "2026-11-01T00:00:00Z", Text: "older"}}},
		services: []*api.Service{{Name: "dataplane", State: "backing off", LastEnd: "signal: killed", NextStartSeconds: 4, Restarts: 3}, {Name: "noded", State: "ready"}},
	}
	l, err := net.Listen("unix", p.path("run/init.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	api.RegisterMachineServer(s, f)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return f
}

// onAppliance makes a node's file one of an appliance.
func onAppliance(s string) string {
	return strings.Replace(s, "metrics:", "machine: {north: {addresses: [10.10.0.11/24]}, south: {addresses: [10.20.0.11/24]}}\nmetrics:", 1)
}

// admin calls the node.
func admin[A any](p *place, call func(context.Context, api.AdminClient) (A, error)) A {
	p.t.Helper()
	conn, err := grpc.NewClient("unix:"+p.path("run/noded.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	a, err := call(ctx, api.NewAdminClient(conn))
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (p *place) history() *api.NodeHistory {
	p.t.Helper()
	return admin(p, func(ctx context.Context, a api.AdminClient) (*api.NodeHistory, error) {
		return a.History(ctx, &api.HistoryRequest{})
	})
}

func (p *place) metrics() string {
	p.t.Helper()
	return admin(p, func(ctx context.Context, a api.AdminClient) (*api.NodeMetrics, error) {
		return a.Metrics(ctx, &api.MetricsRequest{})
	}).Text
}

func TestStatusTellsHowTheMachineCameUp(t *testing.T) {
	p := newPlace(t, nil)
	serveInit(t, p)
	p.start()
	s := p.eventually("start", func(s *api.NodeStatus) bool { return s.Cluster != "" })
	if s.Boot.GetSlot() != "a" || len(s.Boot.Phases) != 2 || len(s.Services) != 2 || s.Boot.Crashes[0].Text != "" {
		t.Errorf("%v", s)
	}
	alarms := strings.Join(s.Alarms, "\n")
	for _, want := range []string{
		"boot phase nics degraded: north: no NIC at 0000:00:03.0; correct dataplane.north.device",
		"service dataplane: signal: killed; it is started again in 4 s, after 3 restarts",
	} {
		if !strings.Contains(alarms, want) {
			t.Errorf("no alarm %q in\n%s", want, alarms)
		}
	}
	b := p.metrics()
	for _, want := range []string{`weir_boot_phase_seconds{phase="mounts",result="ok"} 0.1`, `weir_service_restarts_total{service="dataplane"} 3`,
		`weir_service_ready{service="noded"} 1`, `weir_service_ready{service="dataplane"} 0`, `weir_state_on_disk 1`} {
		if !strings.Contains(b, want) {
			t.Errorf("lacks %s", want)
		}
	}
}

func TestHistoryOutlivesARestartOfNoded(t *testing.T) {
	p := newPlace(t, nil)
	init := serveInit(t, p)
	fake := newFakeDataplane()
	fake.serve(t, p.path("run/dataplane.sock"))
	stop := p.start()
	p.eventually("the dataplane's milestone", func(s *api.NodeStatus) bool { return s.Milestones.DataplaneReady > 0 && len(p.history().Crashes) == 2 })
	before := p.history()
	if len(before.Boots) != 1 || before.Boots[0].End != "" || before.Boots[0].Slot != "a" || before.Boots[0].Version != "9.9.9" ||
		before.Machine.GetSerial() != "WEIR-1" || before.Crashes[0].Text != "newer" {
		t.Errorf("%v", before)
	}
	at := before.Boots[0].Milestones.DataplaneReady
	if now := kernelUptime().Seconds(); at <= 0 || at > now {
		t.Errorf("the dataplane was ready at %v, and now is %v", at, now)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	init.mu.Lock()
	init.status.Crashes = append([]*api.CrashRecord{{Name: "panic-3", Time: "2026-11-03T00:00:00Z"}}, init.status.Crashes...)
	init.mu.Unlock()
	p.start()
	p.eventually("the new crash", func(*api.NodeStatus) bool { return len(p.history().Crashes) == 3 })
	after := p.history()
	if len(after.Boots) != 1 || after.Boots[0].End != "" || after.Boots[0].Milestones.DataplaneReady != at || after.Crashes[0].Name != "panic-3" {
		t.Errorf("%v", after)
	}
}

func TestAnApplianceThatCannotServeStaysReachableAndRecovers(t *testing.T) {
	p := newPlace(t, onAppliance)
	p.edit("cluster.yaml", "left: 10.10.0.102", "left: 10.10.0.152")
	p.start()
	p.eventually("it says why", func(s *api.NodeStatus) bool {
		return strings.Contains(strings.Join(s.Alarms, "\n"), "no configuration is in force: BGP source address 10.10.0.152 is not on weir-north")
	})
	p.edit("cluster.yaml", "left: 10.10.0.152", "left: 10.10.0.102")
	p.eventually("it serves", func(s *api.NodeStatus) bool { return s.Cluster == "lab" })
}

func TestTheNodeConfigurationIsKeptOnceItWorks(t *testing.T) {
	p := newPlace(t, onAppliance)
	want := []byte("as it came, before init has found the NICs\n")
	if err := os.WriteFile(p.path("node.yaml"+config.SourceSuffix), want, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := p.start()
	p.eventually("start without a dataplane", func(s *api.NodeStatus) bool { return s.Cluster == "lab" })
	if _, err := os.Stat(p.path("state/node.yaml.last-good")); err == nil {
		t.Error("a configuration that no dataplane has taken is kept")
	}
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	p.eventually("apply", func(s *api.NodeStatus) bool { return s.Generation != "" && s.DataplaneError == "" })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(p.path("state/node.yaml.last-good")); err != nil || string(b) != string(want) {
		t.Errorf("%q, %v", b, err)
	}
	db, err := state.Open(p.path("state"), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if b, err := db.Get(nodeFileKey); err != nil || string(b) != string(want) {
		t.Errorf("%q, %v", b, err)
	}
}

func TestANodeServesWithAStateDiskThatTakesNothing(t *testing.T) {
	p := newPlace(t, onAppliance)
	if err := os.Mkdir(p.path("state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("state", p.path("state"), "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(p.path("state"), syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	p.start()
	s := p.eventually("announcement", func(s *api.NodeStatus) bool { return phaseOf(s) == api.PhaseAnnounced })
	if !strings.Contains(strings.Join(s.Alarms, "\n"), "read-only file system; what changes now is forgotten with the next restart: make room on the state disk, or replace it") {
		t.Errorf("%q", s.Alarms)
	}
	if told := p.drain(false); !strings.Contains(told[len(told)-1], "drained") {
		t.Errorf("told %q", told)
	}
}

func TestACorruptStateDatabaseIsAnAlarmAndNoObstacle(t *testing.T) {
	p := newPlace(t, nil)
	if err := os.Mkdir(p.path("state"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.write("state/state.db", strings.Repeat("no database ", 5000))
	p.start()
	s := p.eventually("start", func(s *api.NodeStatus) bool { return s.Cluster == "lab" })
	if !strings.Contains(strings.Join(s.Alarms, "\n"), "the state database was corrupt and is begun anew: the history is lost") {
		t.Errorf("%q", s.Alarms)
	}
}
