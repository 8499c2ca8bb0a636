package main

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// image answers like the updated of a node, through its noded.
type image struct {
	api.UnimplementedUpdateServer
	asked []string
	fails string
	away  bool
}

func (i *image) Status(context.Context, *api.UpdateStatusRequest) (*api.UpdateStatus, error) {
	return &api.UpdateStatus{Version: "1.1.0", Slot: "b", State: "tried", Changed: "2026-11-23T12:00:00Z", Target: "1.1.0", TargetSlot: "b", Repository: "http://10.30.0.2:8080/weir",
		Slots: []*api.UpdateSlot{{Name: "a", Status: "good", Version: "1.0.0", Committed: true}, {Name: "b", Status: "untried", Version: "1.1.0", Running: true}},
		Trial: &api.UpdateTrial{Decision: "wait", WaitsFor: []string{"the dataplane does not forward: it does not answer"}, HoldSeconds: 30, LeftSeconds: 200},
		Fault: "the boot variables cannot be written"}, nil
}

func (i *image) Check(_ context.Context, r *api.UpdateCheckRequest) (*api.UpdateCheck, error) {
	if r.Bundle == "relative" {
		return nil, status.Error(codes.InvalidArgument, "not an absolute path")
	}
	return &api.UpdateCheck{Source: "http://10.30.0.2:8080/weir", Newest: "1.2.0", Floor: "1.0.0", Versions: []string{"1.2.0", "1.1.0"}, Expires: "2026-12-01T00:00:00Z"}, nil
}

func (i *image) Install(r *api.UpdateInstallRequest, to grpc.ServerStreamingServer[api.UpdateProgress]) error {
	i.asked = append(i.asked, strings.TrimSpace("install "+r.Version+r.Bundle+map[bool]string{true: " try"}[r.Try]))
	for _, n := range []int64{0, 1 << 20, 2 << 20, 32 << 20} {
		if err := to.Send(&api.UpdateProgress{Phase: "downloads", Version: "1.2.0", Bytes: n, Size: 32 << 20}); err != nil {
			return err
		}
	}
	end := &api.UpdateProgress{Phase: "done", Version: "1.2.0"}
	if i.fails != "" {
		end = &api.UpdateProgress{Phase: "failed", Error: i.fails}
	}
	return to.Send(end)
}

func (i *image) order(what string) (*api.UpdateReply, error) {
	i.asked = append(i.asked, what)
	return &api.UpdateReply{Done: what + " is done"}, nil
}

func (i *image) Try(context.Context, *api.UpdateTryRequest) (*api.UpdateReply, error) {
	return i.order("try")
}
func (i *image) Pause(context.Context, *api.UpdatePauseRequest) (*api.UpdateReply, error) {
	return i.order("pause")
}
func (i *image) Resume(context.Context, *api.UpdateResumeRequest) (*api.UpdateReply, error) {
	if i.away {
		return nil, status.Error(codes.Unavailable, "updated does not answer")
	}
	return i.order("resume")
}
func (i *image) RollBack(_ context.Context, r *api.UpdateRollBackRequest) (*api.UpdateReply, error) {
	return i.order("rollback " + r.Reason)
}

// upgradable is the socket of a node's noded.
func upgradable(t *testing.T, i *image) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "noded.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	api.RegisterAdminServer(s, &appliance{fakeNode{n: 1}})
	api.RegisterUpdateServer(s, i)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return socket
}

func TestOneNodeIsUpgraded(t *testing.T) {
	i := &image{away: true}
	socket := upgradable(t, i)
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := execute(append([]string{"--node", socket, "node", "upgrade"}, args...), &out, &out)
		return code, out.String()
	}
	_, text := run("status", "lb1")
	golden(t, "upgrade-status", text)
	for _, c := range []struct {
		line string
		code int
		want []string
	}{
		{"start lb1 --version 1.2.0", 0, []string{"lb1: downloads 1.2.0 0% of 32.0 MiB\nlb1: downloads 1.2.0 100% of 32.0 MiB\nlb1: done 1.2.0\n", "restarts into it"}},
		{"start lb1 --bundle /b --no-try", 0, []string{"done"}},
		{"status lb1 -o json", 0, []string{`"target": "1.1.0"`}},
		{"check lb1", 0, []string{"1.2.0, 1.1.0", "2026-12-01"}},
		{"check lb1 --bundle relative", 2, []string{"not an absolute path"}},
		{"try lb1", 0, []string{"lb1: try is done"}},
		{"pause lb1", 0, []string{"lb1: pause is done"}},
		{"resume lb1", 1, []string{"lb1: updated does not answer"}},
		{"rollback lb1 --reason slow", 0, []string{"lb1: rollback slow is done"}},
		{"start lb9", 3, []string{`no node "lb9"`}},
		{"start", 2, []string{"takes 1 argument"}},
		{"status lb1 -o xml", 2, []string{"unknown output format"}},
	} {
		code, out := run(strings.Fields(c.line)...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(out, want) {
				t.Errorf("%s: exit code %d, %q; want %d and %q", c.line, code, out, c.code, want)
			}
		}
	}
	i.fails = "refused (unsigned): it has no signature; have it signed"
	if code, out := run("start", "lb1"); code != 1 || !strings.Contains(out, "weirctl: lb1: refused (unsigned)") {
		t.Errorf("%d, %q", code, out)
	}
	if got := strings.Join(i.asked, ", "); got != "install 1.2.0 try, install /b, try, pause, rollback slow, install  try" {
		t.Errorf("asked %q", got)
	}
}
