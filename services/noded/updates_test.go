package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/services/api"
	"weir/services/configd/rig"
	"weir/services/identity"
	"weir/services/state"
)

// fakeUpdated is the machine's updated.
type fakeUpdated struct {
	api.UnimplementedUpdateServer
	mu     sync.Mutex
	status *api.UpdateStatus
}

func (f *fakeUpdated) Status(context.Context, *api.UpdateStatusRequest) (*api.UpdateStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, nil
}

func (f *fakeUpdated) Install(r *api.UpdateInstallRequest, to grpc.ServerStreamingServer[api.UpdateProgress]) error {
	for _, phase := range []string{"downloads", "done"} {
		if err := to.Send(&api.UpdateProgress{Phase: phase, Version: r.Version}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeUpdated) Try(context.Context, *api.UpdateTryRequest) (*api.UpdateReply, error) {
	return nil, status.Error(codes.FailedPrecondition, "nothing is installed")
}

func serveUpdated(t *testing.T, p *place) *fakeUpdated {
	t.Helper()
	f := &fakeUpdated{status: &api.UpdateStatus{Version: "1.0.0", Slot: "a", State: "rolled back", Target: "2.0.0", TargetSlot: "b",
		Changed: "2026-11-01T00:00:00Z", Reason: "no router is reached"}}
	l, err := net.Listen("unix", p.path("run/updated.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	api.RegisterUpdateServer(s, f)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return f
}

// update calls updated through noded: over its socket, or over the network.
func update(t *testing.T, address string, creds credentials.TransportCredentials) api.UpdateClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return api.NewUpdateClient(conn)
}

func TestOperatorsReachUpdatedThroughNoded(t *testing.T) {
	p, r, text := fromService(t)
	r.Apply(text)
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	p.start()
	p.eventually("start", func(s *api.NodeStatus) bool { return s.Generation != "" })
	here := update(t, "unix:"+p.path("run/noded.sock"), insecure.NewCredentials())
	there := update(t, "passthrough:"+southAdmin, credentials.NewTLS(as(t, r.Issue(identity.Operator, "tester"))))
	if _, err := here.Status(t.Context(), &api.UpdateStatusRequest{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "updated does not run on this node") {
		t.Errorf("without updated: %v", err)
	}
	serveUpdated(t, p)
	for name, c := range map[string]api.UpdateClient{"over the socket": here, "over the network": there} {
		rig.Until(t, name, func() bool {
			s, err := c.Status(t.Context(), &api.UpdateStatusRequest{})
			return err == nil && s.Target == "2.0.0"
		})
		stream, err := c.Install(t.Context(), &api.UpdateInstallRequest{Version: "2.1.0"})
		var phases []string
		for err == nil {
			var p *api.UpdateProgress
			if p, err = stream.Recv(); err == nil {
				phases = append(phases, p.Phase+" "+p.Version)
			}
		}
		if strings.Join(phases, ", ") != "downloads 2.1.0, done 2.1.0" {
			t.Errorf("%s: %q, %v", name, phases, err)
		}
		if _, err := c.Try(t.Context(), &api.UpdateTryRequest{}); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := p.eventually("the status tells of it", func(s *api.NodeStatus) bool { return s.Update.GetState() == "rolled back" })
	if alarms := strings.Join(s.Alarms, "\n"); !strings.Contains(alarms, "the last upgrade was rolled back: no router is reached") {
		t.Errorf("%q", alarms)
	}
	rig.Until(t, "the end is in the history", func() bool { return len(p.history().Upgrades) == 1 })
}

func TestEveryUpgradesEndIsNotedOnce(t *testing.T) {
	db, err := state.Open(t.TempDir(), discard())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := newMachine(t.TempDir())
	defer m.close()
	boot := func(id string) *history {
		return openHistory(discard(), db, m, id, func() time.Duration { return time.Minute })
	}
	now := &api.UpdateStatus{State: "tried", Target: "2.0.0", TargetSlot: "b", Changed: "t1"}
	boot("first").upgrade(now)
	now.State, now.Changed, now.Reason = "rolled back", "t2", "it is sick"
	boot("second").upgrade(now)
	boot("third").upgrade(now)
	now.State, now.Changed, now.Reason = "written", "t3", ""
	boot("third").upgrade(now)
	now.State, now.Changed = "committed", "t4"
	boot("fourth").upgrade(now)
	now.State, now.Target, now.TargetSlot, now.Changed, now.Reason = "idle", "", "", "t5", "writing was interrupted"
	boot("fifth").upgrade(now)
	var got []string
	for _, u := range boot("sixth").look("lb1").Upgrades {
		got = append(got, strings.Join([]string{u.Time, u.End, u.Version, u.Reason}, " "))
	}
	if want := "t5 abandoned  writing was interrupted|t4 committed 2.0.0 |t2 rolled back 2.0.0 it is sick"; strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}
