package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"weir/services/api"
	"weir/services/identity"
)

// appliance answers like the noded of a node that has booted the image.
type appliance struct{ fakeNode }

func (a *appliance) Status(ctx context.Context, r *api.NodeStatusRequest) (*api.NodeStatus, error) {
	s, err := a.fakeNode.Status(ctx, r)
	s.Nodes[0].AnnouncedBy = []string{"lb2", "lb3"}
	s.Boot = &api.BootStatus{Version: "0.4.0", Slot: "a", ConfigSource: "disk", ConfigLastGood: true, UptimeSeconds: 93784, State: &api.State{Mode: "read-write"},
		Phases: []*api.Phase{
			{Name: "mounts", Result: "ok", StartedSeconds: 1.5, TookSeconds: 0.04},
			{Name: "clock", Result: "degraded", StartedSeconds: 1.54, TookSeconds: 2, Reason: "10.30.0.2 does not answer", Remedy: "correct machine.ntp"},
			{Name: "services", Result: "ok", StartedSeconds: 3.54, TookSeconds: 0.16},
		}}
	s.Milestones = &api.Milestones{DataplaneReady: 6.12, StateComplete: 7.8, Announced: 8.34, TrafficReady: 8.34}
	s.Services = []*api.Service{
		{Name: "dataplane", State: "ready", SinceSeconds: 93780, Status: "forwards, answers health pings"},
		{Name: "console", State: "backing off", SinceSeconds: 3, Restarts: 2, LastEnd: "exit status 1"},
	}
	return s, err
}

func (a *appliance) History(context.Context, *api.HistoryRequest) (*api.NodeHistory, error) {
	return &api.NodeHistory{Id: "lb1", Machine: &api.Identity{Vendor: "QEMU", Serial: "WEIR-1"},
		Boots: []*api.BootRecord{
			{BootId: "b", Version: "0.4.0", Slot: "b", Started: "2026-11-23T12:00:00Z", UpSeconds: 61, Milestones: &api.Milestones{TrafficReady: 8.34}},
			{BootId: "a", Version: "0.3.0", Slot: "a", Started: "2026-11-20T12:00:00Z", UpSeconds: 259100, End: "unclean"},
		},
		Upgrades: []*api.UpgradeRecord{{End: "rolled back", Time: "2026-11-23T12:05:00Z", Version: "0.5.0", Slot: "a", Reason: "version 0.5.0 is not well: no router is reached"}},
		Crashes:  []*api.CrashRecord{{Name: "dmesg-erst-1", Time: "2026-11-23T11:59:00Z", Text: "Oops\nKernel panic - not syncing: oops\n"}}}, nil
}

func (a *appliance) Metrics(context.Context, *api.MetricsRequest) (*api.NodeMetrics, error) {
	return &api.NodeMetrics{Text: "weir_state_on_disk 1\n"}, nil
}

func (a *appliance) Drain(_ *api.DrainRequest, stream grpc.ServerStreamingServer[api.DrainProgress]) error {
	return stream.Send(&api.DrainProgress{Phase: "drained: nothing depends on this node", Done: true})
}

func TestHowAnApplianceBootedIsShown(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	s := grpc.NewServer()
	api.RegisterAdminServer(s, &appliance{fakeNode{n: 1}})
	go s.Serve(listen(t, "lb1.sock"))
	t.Cleanup(s.Stop)
	var all strings.Builder
	for _, c := range [][]string{{"status"}, {"node", "history", "lb1"}, {"node", "history", "lb2"}} {
		all.WriteString(ctl(append([]string{"--node", "lb1.sock", "--module", "none.sock"}, c...)...) + "\n")
	}
	var got clusterStatus
	out := ctl("--node", "lb1.sock", "--module", "none.sock", "status", "-o", "json")
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):strings.LastIndex(out, "}")+1]), &got); err != nil {
		t.Fatal(err)
	}
	if n := got.Nodes[0]; n.Boot.GetPhases()[1].Remedy != "correct machine.ntp" || n.Milestones.GetTrafficReady() != 8.34 || n.Uptime != 93784 || len(n.AnnouncedBy) != 2 {
		t.Errorf("%s", out)
	}
	t.Chdir(home)
	golden(t, "appliance", all.String())
}

// A lab of machines has addresses where one of namespaces has sockets.
func TestMachinesOfALabAreCalledOverTheNetwork(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := identity.CreateCA("pki", "lab"); err != nil {
		t.Fatal(err)
	}
	issue := func(role identity.Role, id string) identity.Files {
		f, err := identity.Issue("pki", role, id, []string{"127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	me, err := identity.Load(issue(identity.Node, "lb1"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(me.Server(identity.Operator))))
	api.RegisterAdminServer(s, &appliance{fakeNode{n: 1}})
	go s.Serve(l)
	t.Cleanup(s.Stop)
	operator := issue(identity.Operator, "me")
	description := map[string]any{
		"lb_nodes": []any{map[string]string{"id": "lb1", "admin": l.Addr().String()}},
		"config":   map[string]string{"ca": operator.CA, "cert": operator.Cert, "key": operator.Key},
	}
	b, err := json.Marshal(description)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("build/lab", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "build/lab/lab.json", string(b))
	for _, tc := range []struct {
		command string
		want    string
	}{
		{"--lab status", "cluster lab"},
		{"--lab trace --client 198.51.100.10:40000 --vip 203.0.113.10:80", "established"},
		{"--lab node metrics lb1", "weir_state_on_disk 1"},
		{"--lab node drain lb1", "lb1: drained: nothing depends on this node"},
		{"--node " + l.Addr().String() + " --ca " + operator.CA + " --cert " + operator.Cert + " --key " + operator.Key + " --module none node history lb1", "dmesg-erst-1"},
	} {
		wants(t, ctl(strings.Fields(tc.command)...), tc.want, "exit 0")
	}
	stranger := issue(identity.Server, "srv1")
	wants(t, ctl("--node", l.Addr().String(), "--ca", stranger.CA, "--cert", stranger.Cert, "--key", stranger.Key, "--module", "none", "status"), "no node answers", "exit 1")
}
