package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"weir/firmware/rig"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/services/api"
)

// fakeNode is a machine with two slots, in memory.
type fakeNode struct {
	rec     trial.Record
	running trial.Slot
	wrote   []byte // into the other slot
	failed  error  // of everything

	unloadable error // why kexec cannot start the other slot
}

func (f *fakeNode) AtBoot(version string) (trial.Record, trial.Decision, error) {
	r, d := trial.Decide(f.rec, f.rec.Committed != trial.None, trial.Boot{Running: f.running, Version: version, Started: trial.Begun}, rig.Now)
	f.rec = r
	return r, d, nil
}
func (f *fakeNode) Running() trial.Slot           { return f.running }
func (f *fakeNode) Record() (trial.Record, error) { return f.rec, nil }
func (f *fakeNode) Close() error                  { return nil }

func (f *fakeNode) Install(_ context.Context, version string, i slots.Image) (err error) {
	if f.rec, err = f.rec.Begin(f.running, version, rig.Now); err != nil {
		return err
	}
	if f.wrote, err = io.ReadAll(i.From); err != nil {
		f.rec, _ = f.rec.Abandon(err.Error(), rig.Now)
		return err
	}
	i.Progress(2 * i.Size)
	f.rec, err = f.rec.Wrote(i.SHA256, rig.Now)
	return err
}

func (f *fakeNode) change(r trial.Record, err error) error {
	if err = errors.Join(err, f.failed); err == nil {
		f.rec = r
	}
	return err
}
func (f *fakeNode) Try(nonce uint64, watchdog time.Duration) error {
	return f.change(f.rec.Arm(nonce, watchdog, rig.Now))
}
func (f *fakeNode) Load() error                  { return f.unloadable }
func (f *fakeNode) Cancel() error                { return f.change(f.rec.Disarm(rig.Now)) }
func (f *fakeNode) Commit() error                { return f.change(f.rec.Commit(rig.Now)) }
func (f *fakeNode) RollBack(reason string) error { return f.change(f.rec.RollBack(reason, rig.Now)) }

// place is a machine on which updated runs, boot after boot.
type place struct {
	t   *testing.T
	dir string
	fakeNode
	*daemon
	world    world
	up       time.Duration
	node     *api.NodeStatus
	silent   error // of noded
	restarts int
	how      string // the last one
	repo     *rig.Rig
	web      *httptest.Server
	hold     chan struct{} // targets are not given before it is closed; nil: at once
	holding  sync.Mutex
}

// newPlace is a machine that runs version 1.0.0 in slot a, which is committed, with
// a repository that has 1.0.0.
func newPlace(t *testing.T) *place {
	p := &place{t: t, dir: t.TempDir(), fakeNode: fakeNode{running: trial.A}, node: well()}
	p.repo = rig.New(t)
	p.repo.Release("1.0.0", "")
	files := http.FileServer(http.Dir(p.repo.Repository.Dir))
	p.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.holding.Lock()
		hold := p.hold
		p.holding.Unlock()
		if hold != nil && strings.HasPrefix(r.URL.Path, "/targets/") {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(p.web.Close)
	p.write("root.json", string(p.repo.Root()))
	p.configure("")
	p.world = world{
		open:   func() (upgrader, error) { return &p.fakeNode, nil },
		status: func(context.Context) (*api.NodeStatus, error) { return p.node, p.silent },
		restart: func(_ context.Context, how string) error {
			p.restarts++
			p.how = how
			return nil
		},
		uptime: func() time.Duration { return p.up }, now: func() time.Time { return rig.Now.Add(p.up) }, random: func() float64 { return 0.5 },
		boot: "first", version: "1.0.0", root: filepath.Join(p.dir, "root.json"), pace: time.Millisecond,
	}
	p.start()
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// configure writes node.yaml; more is added to its section updates.
func (p *place) configure(more string) {
	p.write("node.yaml", `node: lb1
cluster_file: cluster.yaml
dataplane:
  north: {device: "pci:0000:00:03.0", exception: weir-north}
  south: {device: "pci:0000:00:04.0", exception: weir-south}
updates:
  repository: `+p.web.URL+`
  gate: {hold: 10s, deadline: 1m}
`+more)
	at := time.Now().Add(time.Duration(len(more)) * time.Second) // the file system's clock may be too coarse to tell
	if err := os.Chtimes(filepath.Join(p.dir, "node.yaml"), at, at); err != nil {
		p.t.Fatal(err)
	}
}

// start starts updated; it knows only what is on the disk.
func (p *place) start() {
	p.daemon = newDaemon(slog.New(slog.DiscardHandler), &p.world, filepath.Join(p.dir, "node.yaml"), filepath.Join(p.dir, "run"), filepath.Join(p.dir, "state"))
}

// reboot boots a version in a slot.
func (p *place) reboot(slot trial.Slot, version string) {
	p.fakeNode.running, p.world.version, p.world.boot, p.up = slot, version, p.world.boot+"+", 20*time.Second
	p.start()
}

// turns lets time pass, in steps of a second.
func (p *place) turns(n int) {
	for range n {
		p.turn(p.t.Context())
		p.up += time.Second
	}
}

func (p *place) status() *api.UpdateStatus {
	p.t.Helper()
	s, err := server{daemon: p.daemon}.Status(p.t.Context(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// install asks for a version and turns until the job has ended or waits.
func (p *place) install(version, bundle string, try bool) (*api.UpdateProgress, error) {
	p.turns(1)
	number, err := p.accept(&api.UpdateInstallRequest{Version: version, Bundle: bundle, Try: try})
	if err != nil {
		return nil, err
	}
	p.turns(2)
	at, _ := p.seen(number)
	return at, nil
}

// stream is the other end of a call of Install.
type stream struct {
	grpc.ServerStream
	ctx context.Context
	mu  sync.Mutex
	got []*api.UpdateProgress
}

func (s *stream) Context() context.Context { return s.ctx }
func (s *stream) Send(p *api.UpdateProgress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, p)
	return nil
}

// well is a single node without routers that is in service.
func well() *api.NodeStatus {
	return &api.NodeStatus{
		Id: "lb1", Generation: "g", Learned: true, Settled: true,
		Milestones: &api.Milestones{DataplaneReady: 1, StateComplete: 2, Announced: 3, TrafficReady: 3},
		Dataplane:  &api.DataplaneStatus{BootId: 5}, Nodes: []*api.NodeView{{Id: "lb1", Health: api.HealthHealthy, Phase: api.PhaseAnnounced}},
	}
}
