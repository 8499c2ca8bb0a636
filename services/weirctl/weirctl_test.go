package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares an output with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew):\n got:\n%s\nwant:\n%s", path, got, want)
	}
}

// fakeNode answers like the noded of node lb1 to lb3.
type fakeNode struct {
	api.UnimplementedAdminServer
	n int
}

func (f *fakeNode) Status(context.Context, *api.NodeStatusRequest) (*api.NodeStatus, error) {
	s := &api.NodeStatus{
		Id: fmt.Sprintf("lb%d", f.n), Cluster: "lab", Version: "0.1.0", Nodes: nodeViews(), Servers: serverViews(), Learned: true,
		Dataplane: &api.DataplaneStatus{
			Version: "0.1.0", Flows: &api.Flows{Established: 100, HalfOpen: uint64(f.n), Capacity: 262144},
			Drops: map[string]uint64{"bad_tag": uint64(f.n), "stranger": 0},
		},
	}
	for i, slot := range []string{"left", "right"} {
		s.Bgp = append(s.Bgp, &api.BgpSession{
			Node: s.Id, Advertises: fmt.Sprintf("lb%d", []int{(f.n + 1) % 3, f.n % 3}[i]+1), Slot: slot, Peer: "10.10.0.1",
			Source: fmt.Sprintf("10.10.0.%d", 100+2*f.n+i), State: "established", Prefixes: 2, SinceSeconds: 5,
		})
	}
	if f.n == 2 {
		s.Bgp[1].State, s.Bgp[1].Reason, s.Bgp[1].Losses, s.Bgp[1].Prefixes = "connecting", "the router is unreachable", 1, 0
		s.Alarms = []string{"bgp session 10.10.0.105 to 10.10.0.1, which announces lb3, is connecting: the router is unreachable"}
	}
	return s, nil
}

func (f *fakeNode) Trace(_ context.Context, r *api.TraceRequest) (*api.NodeTrace, error) {
	if r.Protocol != 0 {
		return nil, status.Error(codes.InvalidArgument, "protocol")
	}
	d := &api.DataplaneTrace{Worker: uint32(f.n - 1), Primary: 2, Secondary: 3, Endpoint: "web"}
	if r.Client == "198.51.100.10:40000" {
		e := &api.TraceEntry{State: "established", Server: 2, ClientIsn: 1, ServerIsn: 2}
		if f.n == 1 {
			d.Ingress = e
		} else {
			d.Tracker = e
		}
	}
	return &api.NodeTrace{Node: fmt.Sprintf("lb%d", f.n), Dataplane: d, Nodes: nodeViews(), Servers: serverViews()}, nil
}

func nodeViews() (out []*api.NodeView) {
	for i := uint32(1); i <= 3; i++ {
		out = append(out, &api.NodeView{Id: fmt.Sprintf("lb%d", i), Number: i, Health: api.HealthHealthy, Phase: api.PhaseAnnounced, RingShare: 1.0 / 3,
			North: fmt.Sprintf("10.10.0.1%d", i), South: fmt.Sprintf("10.20.0.1%d", i)})
	}
	return out
}

func serverViews() (out []*api.ServerView) {
	for i := uint32(1); i <= 2; i++ {
		out = append(out, &api.ServerView{Id: fmt.Sprintf("srv%d", i), Number: i, Health: api.HealthHealthy, Address: fmt.Sprintf("10.20.0.10%d", i), Weight: 100})
	}
	return out
}

// fakeModule answers like the agent of a server.
type fakeModule struct {
	mu sync.Mutex
	id string
	s  api.ModuleStatus
}

func (f *fakeModule) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch r.Method + " " + r.URL.Path {
	case "GET /status":
		answer(f.s)
	case "POST /drain":
		f.s.Health = api.HealthDraining
	case "POST /undrain":
		f.s.Health = api.HealthHealthy
	case "GET /trace":
		if f.id != "srv2" || r.URL.Query().Get("client") != "198.51.100.10:40000" {
			http.NotFound(w, r)
			return
		}
		answer(api.ModuleTrace{Server: f.id, State: "established", Ingress: "lb1", Egress: "lb3", Primary: "lb2", Secondary: "lb3", ClientISN: 1, ServerISN: 2})
	default:
		http.Error(w, "no such thing", http.StatusBadRequest)
	}
}

// fakeLab runs a lab of fakes and makes its folder the current one. Programs
// named in dead have sockets that nobody serves.
func fakeLab(t *testing.T, dead ...string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	isDead := func(id string) bool { return strings.Contains(strings.Join(dead, " "), id) }
	var lab struct {
		LBNodes []map[string]string `json:"lb_nodes"`
		Servers []map[string]string `json:"servers"`
	}
	for i := 1; i <= 3; i++ {
		id := fmt.Sprintf("lb%d", i)
		lab.LBNodes = append(lab.LBNodes, map[string]string{"id": id, "admin": id + ".sock"})
		if isDead(id) {
			continue
		}
		s := grpc.NewServer()
		api.RegisterAdminServer(s, &fakeNode{n: i})
		go s.Serve(listen(t, id+".sock"))
		t.Cleanup(s.Stop)
	}
	for i := 1; i <= 2; i++ {
		id := fmt.Sprintf("srv%d", i)
		lab.Servers = append(lab.Servers, map[string]string{"id": id, "admin": id + ".sock"})
		if isDead(id) {
			continue
		}
		s := &http.Server{Handler: &fakeModule{id: id, s: api.ModuleStatus{ID: id, Health: api.HealthHealthy, Utilization: 0.25 * float64(i), Connections: 10 * i}}}
		go s.Serve(listen(t, id+".sock"))
		t.Cleanup(func() { s.Close() })
	}
	b, err := json.Marshal(lab)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("build/lab", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("build/lab/lab.json", b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, socket string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ctl runs one command line; the golden file has its output, errors and exit code.
func ctl(args ...string) string {
	var out, errOut bytes.Buffer
	code := execute(args, &out, &errOut)
	s := fmt.Sprintf("$ weirctl %s\n%s", strings.Join(args, " "), out.String())
	if errOut.Len() > 0 {
		s += "--- stderr\n" + errOut.String()
	}
	return s + fmt.Sprintf("--- exit %d\n", code)
}

func TestOutputsAreAsWrittenDown(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const client, stranger, vip = "198.51.100.10:40000", "198.51.100.10:1", "203.0.113.10:80"
	for _, tc := range []struct {
		name     string
		dead     []string
		commands [][]string
	}{
		{"status", nil, [][]string{{"--lab", "status"}, {"--lab", "status", "-o", "json"}}},
		{"status-partial", []string{"lb3", "srv2"}, [][]string{{"--lab", "status"}}},
		{"status-on-a-node", nil, [][]string{{"--node", "lb1.sock", "--module", "none.sock", "status"}}},
		{"status-none", []string{"lb1", "lb2", "lb3"}, [][]string{{"--lab", "status"}}},
		{"trace", nil, [][]string{{"--lab", "trace", "--client", client, "--vip", vip}, {"--lab", "trace", "--client", client, "--vip", vip, "-o", "json"}}},
		{"trace-unknown", nil, [][]string{{"--lab", "trace", "--client", stranger, "--vip", vip}}},
		{"drain", nil, [][]string{{"--lab", "server", "drain", "srv1"}, {"--lab", "status"}, {"--lab", "server", "undrain", "srv1"}, {"--module", "srv2.sock", "server", "drain", "srv1"}}},
		{"usage", nil, [][]string{
			{"frobnicate"}, {"server", "shoot", "srv1"}, {"server", "drain"}, {"status", "-o", "xml"}, {"status", "--nope"},
			{"trace", "--client", "here", "--vip", vip}, {"status", "extra"}, {"version"},
		}},
		{"help", nil, [][]string{{"--help"}, {"trace", "--help"}, {"server", "--help"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fakeLab(t, tc.dead...)
			var all strings.Builder
			for _, c := range tc.commands {
				all.WriteString(ctl(c...) + "\n")
			}
			t.Chdir(home)
			golden(t, tc.name, all.String())
		})
	}
}

func TestWithoutALabTheErrorSaysHowToStartOne(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := ctl("--lab", "status"); !strings.Contains(got, "make lab-up starts one") || !strings.Contains(got, "exit 1") {
		t.Error(got)
	}
}

func TestConfigCheckPrintsEveryErrorOnALineOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.yaml")
	if err := os.WriteFile(path, []byte("node: lb1\ncluster_file: c\nx: 1\ny: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(ctl("config", "check", path), dir, "DIR")
	golden(t, "config-check", got)
	if got := ctl("config", "check", "../config/testdata/cluster.yaml"); !strings.Contains(got, "the cluster file is valid") || !strings.Contains(got, "exit 0") {
		t.Error(got)
	}
}

func TestTheViewOfANodeThatIsCutOffDoesNotCount(t *testing.T) {
	away := errors.New("away")
	alone, fresh, well := &api.NodeStatus{Learned: true, Isolated: true}, &api.NodeStatus{}, &api.NodeStatus{Learned: true}
	for _, tc := range []struct {
		name  string
		views []*api.NodeStatus
		errs  []error
		want  int
	}{
		{"the first that is well", []*api.NodeStatus{alone, fresh, well, well}, make([]error, 4), 2},
		{"nobody is well", []*api.NodeStatus{alone, fresh}, make([]error, 2), 0},
		{"the well one does not answer", []*api.NodeStatus{nil, alone}, []error{away, nil}, 1},
		{"nobody answers", []*api.NodeStatus{nil}, []error{away}, -1},
	} {
		if got := bestView(tc.views, tc.errs); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
