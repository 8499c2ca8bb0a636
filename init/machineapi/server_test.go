package machineapi

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"weir/init/crash"
	"weir/init/ending"
	"weir/init/logs"
	"weir/init/supervisor"
	"weir/services/api"
)

// rig is the API of a node with one service, and a client of it.
func rig(t *testing.T, change func(*Init)) (api.MachineClient, *Init) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	dir, start := t.TempDir(), time.Now()
	now := func() time.Duration { return time.Since(start) }
	store := logs.NewStore(now)
	own := store.Source("init")
	sv, err := supervisor.New(supervisor.Options{Now: now, Tell: own.Print, Logs: store, Notify: dir + "/notify", Crashed: func(string, string, []logs.Line) {}},
		[]supervisor.Spec{{Name: "noded", Command: []string{"/bin/sh", "-c", "echo hello; exec sleep 1000"}, Stop: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	go sv.Run(ctx)
	i := &Init{Boot: func() *api.BootStatus { return &api.BootStatus{Version: "9.9", Watchdog: "none"} },
		Crashes: crash.NewStore(time.Now, own.Print), Supervisor: sv, Logs: store, Tell: own.Print, Ask: ending.New().Ask}
	if change != nil {
		change(i)
	}
	path := filepath.Join(dir, "init.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	server := New(*i)
	go server.Serve(l)
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		sv.StopAll(ctx)
		cancel()
	})
	return api.NewMachineClient(conn), i
}

func TestTheBootIsToldWithItsCrashes(t *testing.T) {
	c, i := rig(t, nil)
	i.Crashes.Add("dataplane", "dataplane: signal: killed")
	b, err := c.Boot(t.Context(), &api.BootRequest{})
	if err != nil || b.Version != "9.9" || len(b.Crashes) != 1 || b.Crashes[0].Name != "dataplane" {
		t.Fatalf("%v, %v", b, err)
	}
	if _, err := time.Parse(time.RFC3339, b.Crashes[0].Time); err != nil {
		t.Error(err)
	}
}

func TestServicesAreToldAndControlled(t *testing.T) {
	c, _ := rig(t, nil)
	is := func(want string) {
		t.Helper()
		var last *api.ServicesStatus
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			var err error
			if last, err = c.Services(t.Context(), &api.ServicesRequest{}); err != nil {
				t.Fatal(err)
			}
			if s := last.Services[0]; s.Name == "noded" && s.State == want && (s.Pid != 0) == (want == "ready") {
				return
			}
		}
		t.Fatalf("not %s: %v", want, last)
	}
	is("ready")
	if _, err := c.Control(t.Context(), &api.ControlRequest{Service: "noded", Action: "stop"}); err != nil {
		t.Fatal(err)
	}
	is("stopped")
	_, err := c.Control(t.Context(), &api.ControlRequest{Service: "nodee", Action: "stop"})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "there are noded") {
		t.Errorf("an unknown service: %v", err)
	}
}

func TestLogsAreSentAndFollowed(t *testing.T) {
	c, i := rig(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	follow, err := c.Logs(ctx, &api.LogsRequest{Source: "noded", Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := follow.Recv(); err != nil || l.Text != "hello" {
		t.Fatalf("first line: %v, %v", l, err)
	}
	i.Logs.Source("noded").Print("later")
	if l, err := follow.Recv(); err != nil || l.Text != "later" {
		t.Fatalf("second line: %v, %v", l, err)
	}
	past, err := c.Logs(ctx, &api.LogsRequest{Source: "noded", Lines: 1})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := past.Recv(); err != nil || l.Text != "later" {
		t.Fatalf("the newest line: %v, %v", l, err)
	}
	if _, err := past.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after it: %v", err)
	}
	none, _ := c.Logs(ctx, &api.LogsRequest{Source: "nodee"})
	if _, err := none.Recv(); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `["init" "noded"]`) {
		t.Errorf("an unknown log: %v", err)
	}
}

func TestTheEndIsAskedForWithAName(t *testing.T) {
	var asked string
	c, _ := rig(t, func(i *Init) {
		i.Ask = func(how ending.How, why string) error { asked = string(how) + ": " + why; return nil }
	})
	if _, err := c.End(t.Context(), &api.EndRequest{How: "reboot", Who: "weirctl"}); err != nil || asked != "reboot: asked for by weirctl" {
		t.Errorf("asked %q: %v", asked, err)
	}
}

func TestAPanicInACallIsThatCallsError(t *testing.T) {
	c, _ := rig(t, func(i *Init) { i.Boot = func() *api.BootStatus { panic("a slip") } })
	if _, err := c.Boot(t.Context(), &api.BootRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("got %v", err)
	}
	if _, err := c.Services(t.Context(), &api.ServicesRequest{}); err != nil {
		t.Error(err)
	}
}
