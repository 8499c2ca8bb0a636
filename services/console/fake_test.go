package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/identity"
)

// fakes are init, noded and dataplane in the test's own process. A test changes
// what they say under mu.
type fakes struct {
	dir     string
	servers map[string]*grpc.Server

	mu        sync.Mutex
	boot      *api.BootStatus
	services  []*api.Service
	logs      map[string][]*api.LogLine
	follow    chan *api.LogLine
	node      *api.NodeStatus
	dataplane *api.DataplaneStatus
	update    *api.UpdateStatus
	frames    *api.CapturedFrames // for captures; nil: none is possible
	asked     []string            // what was changed
}

// nodeFile is a node.yaml whose console password is "open sesame".
const nodeFile = `node: lb1
cluster_file: /run/weir/cluster.yaml
dataplane:
  north: {device: "pci:0000:00:03.0", exception: weir-north}
  south: {device: "pci:0000:00:04.0", exception: weir-south}
machine:
  north: {addresses: [10.10.0.11/24], gateway: 10.10.0.1}
  south: {addresses: [10.20.0.11/24]}
  # open sesame
  password: "$2a$04$HASH"
`

func startFakes(t *testing.T) *fakes {
	f := &fakes{dir: t.TempDir(), servers: map[string]*grpc.Server{}, boot: goodBoot(), services: goodServices(), logs: goodLogs(),
		follow: make(chan *api.LogLine), node: goodNode(), dataplane: goodDataplane(),
		update: &api.UpdateStatus{Version: "0.1.0", Slot: "a", State: "idle", Slots: []*api.UpdateSlot{{Name: "a", Status: "good", Version: "0.1.0", Running: true, Committed: true}, {Name: "b", Status: "empty"}}}}
	for _, name := range []string{"init", "noded", "dataplane", "updated"} {
		f.start(t, name)
	}
	t.Cleanup(func() {
		for _, s := range f.servers {
			s.Stop()
		}
	})
	return f
}

// start has one of the three answer.
func (f *fakes) start(t *testing.T, name string) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(f.dir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	switch name {
	case "init":
		api.RegisterMachineServer(s, machine{fakes: f})
	case "noded":
		api.RegisterAdminServer(s, admin{fakes: f})
	case "updated":
		api.RegisterUpdateServer(s, image{fakes: f})
	default:
		api.RegisterDataplaneServer(s, packets{fakes: f})
	}
	f.servers[name] = s
	go s.Serve(l)
}

// stop has one of the three not answer.
func (f *fakes) stop(name string) {
	f.servers[name].Stop()
	delete(f.servers, name)
	os.Remove(filepath.Join(f.dir, name+".sock"))
}

// configure writes the node.yaml in force.
func (f *fakes) configure(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "node.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change changes what the fakes say.
func (f *fakes) change(do func()) { f.mu.Lock(); defer f.mu.Unlock(); do() }

func (f *fakes) note(what string) { f.change(func() { f.asked = append(f.asked, what) }) }

type machine struct {
	api.UnimplementedMachineServer
	*fakes
}

func (m machine) Boot(context.Context, *api.BootRequest) (*api.BootStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot, nil
}

func (m machine) Services(context.Context, *api.ServicesRequest) (*api.ServicesStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &api.ServicesStatus{Services: m.services}, nil
}

func (m machine) Logs(r *api.LogsRequest, s grpc.ServerStreamingServer[api.LogLine]) error {
	m.mu.Lock()
	lines, ok := m.logs[r.Source]
	m.mu.Unlock()
	if !ok {
		return status.Errorf(codes.NotFound, "no log of %s", r.Source)
	}
	if n := int(r.Lines); n > 0 && len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for _, l := range lines {
		if err := s.Send(l); err != nil {
			return err
		}
	}
	for r.Follow {
		select {
		case l := <-m.follow:
			if err := s.Send(l); err != nil {
				return err
			}
		case <-s.Context().Done():
			m.note("log left")
			return s.Context().Err()
		}
	}
	return nil
}

func (m machine) Control(_ context.Context, r *api.ControlRequest) (*api.ControlReply, error) {
	if r.Service == "nonsense" {
		return nil, status.Error(codes.NotFound, "no such service")
	}
	m.note(r.Action + " " + r.Service)
	return &api.ControlReply{}, nil
}

func (m machine) End(_ context.Context, r *api.EndRequest) (*api.EndReply, error) {
	m.note(r.How + " by " + r.Who)
	return &api.EndReply{}, nil
}

type admin struct {
	api.UnimplementedAdminServer
	*fakes
}

func (a admin) Status(context.Context, *api.NodeStatusRequest) (*api.NodeStatus, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.node, nil
}

func (a admin) History(context.Context, *api.HistoryRequest) (*api.NodeHistory, error) {
	return &api.NodeHistory{Upgrades: []*api.UpgradeRecord{{End: "rolled back", Time: "2026-11-23T12:05:00Z", Version: "0.2.0", Reason: "it is sick"}}}, nil
}

type image struct {
	api.UnimplementedUpdateServer
	*fakes
}

func (i image) Status(context.Context, *api.UpdateStatusRequest) (*api.UpdateStatus, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.update, nil
}

func (i image) Install(r *api.UpdateInstallRequest, s grpc.ServerStreamingServer[api.UpdateProgress]) error {
	i.note("install " + r.Version + r.Bundle)
	if r.Version == "9.9.9" {
		return s.Send(&api.UpdateProgress{Phase: "failed", Error: "refused (missing): there is no release 9.9.9"})
	}
	if err := s.Send(&api.UpdateProgress{Phase: "downloads", Version: "0.2.0", Bytes: 16 << 20, Size: 32 << 20}); err != nil {
		return err
	}
	return s.Send(&api.UpdateProgress{Phase: "done", Version: "0.2.0"})
}

func (i image) RollBack(_ context.Context, r *api.UpdateRollBackRequest) (*api.UpdateReply, error) {
	i.note("rollback " + r.Reason)
	return &api.UpdateReply{Done: "the machine restarts into version 0.1.0"}, nil
}

type packets struct {
	api.UnimplementedDataplaneServer
	*fakes
}

// Capture sends what the test has ready, and then nothing.
func (p packets) Capture(r *api.CaptureRequest, s grpc.ServerStreamingServer[api.CapturedFrames]) error {
	p.note(fmt.Sprintf("capture %s host %v port %d", r.Port, net.IP(r.Host), r.Number))
	p.mu.Lock()
	m := p.frames
	p.mu.Unlock()
	if m == nil {
		return status.Error(codes.FailedPrecondition, "another capture runs; end it first")
	}
	if err := s.Send(m); err != nil {
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

func (p packets) Status(context.Context, *api.DataplaneStatusRequest) (*api.DataplaneStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dataplane, nil
}

// goodNetwork is one in which everything answers.
type goodNetwork struct{}

func (goodNetwork) Connect(context.Context, netip.Addr, netip.AddrPort) error { return nil }
func (goodNetwork) Resolve(context.Context, string, netip.Addr) error         { return nil }
func (goodNetwork) Ping(context.Context, netip.Addr, int) error               { return nil }
func (goodNetwork) Authenticate(context.Context, identity.Files, netip.AddrPort) error {
	return nil
}
func (goodNetwork) ClockOffset(context.Context, netip.Addr) (time.Duration, error) { return 0, nil }
func (goodNetwork) MTU(string) (int, error)                                        { return 1500, nil }
func (goodNetwork) Gateways(string) ([]netip.Addr, error)                          { return nil, nil }
