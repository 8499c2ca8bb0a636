package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"weir/services/api"
	"weir/services/config"
	"weir/services/noded/membership"
	"weir/services/program"
)

func TestTheDataplaneGetsTheDesiredStateNowAndAfterItsRestart(t *testing.T) {
	p := newPlace(t, nil)
	stop := p.start()
	s := p.eventually("start without a dataplane", func(s *api.NodeStatus) bool { return strings.Contains(s.DataplaneError, "is the dataplane running?") })
	if s.Dataplane != nil || len(s.Nodes) != 3 || len(s.Servers) != 2 || s.Cluster != "lab" {
		t.Errorf("%v", s)
	}
	socket := p.path("run/dataplane.sock")
	first := newFakeDataplane()
	stopFirst := first.serve(t, socket)
	s = p.eventually("apply", func(s *api.NodeStatus) bool {
		return s.DataplaneError == "" && s.Learned && first.last().GetGeneration() == s.Generation
	})
	if got := first.last(); got.Self != 1 || len(got.Routers) != 1 || ownBoot(got) != first.boot {
		t.Errorf("applied %v", got)
	}
	stopFirst()
	p.eventually("loss", func(s *api.NodeStatus) bool { return s.DataplaneError != "" })
	second := newFakeDataplane()
	second.serve(t, socket)
	p.eventually("apply after the restart", func(s *api.NodeStatus) bool { return s.DataplaneError == "" && second.last() != nil })
	for _, s := range second.applied {
		if ownBoot(s) != second.boot {
			t.Error("the second dataplane got a state of the first one's life")
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	os.Remove(socket) // the fake's
	p.isEmpty("run")
}

func TestAChangedClusterFileIsTakenUpAndABadOneIsNot(t *testing.T) {
	p := newPlace(t, nil)
	fake := newFakeDataplane()
	fake.serve(t, p.path("run/dataplane.sock"))
	p.start()
	announced := func(s *api.NodeStatus) bool { return phaseOf(s) == api.PhaseAnnounced }
	p.eventually("announcement", announced)
	p.edit("cluster.yaml", "{id: srv1, number: 1, address: 10.20.0.101}", "{id: srv1, number: 1, address: 10.20.0.101, weight: 7}")
	// Its announcement, too, changes the desired state: that may come in between.
	p.eventually("reload", func(s *api.NodeStatus) bool {
		last := fake.last()
		return s.Servers[0].Weight == 7 && last.Generation == s.Generation && last.Servers[0].Weight == 7
	})
	p.edit("cluster.yaml", "fabric_mtu", "fabric_mtv")
	s := p.eventually("refusal", func(s *api.NodeStatus) bool { return s.ConfigError != "" })
	if fake.last().Servers[0].Weight != 7 || !strings.Contains(s.ConfigError, "cluster.yaml:3: fabric_mtv: unknown key") {
		t.Errorf("%v", s)
	}
	p.edit("cluster.yaml", "fabric_mtv", "fabric_mtu")
	p.eventually("recovery", func(s *api.NodeStatus) bool { return s.ConfigError == "" })
	p.edit("cluster.yaml", "left: 10.10.0.102", "left: 10.10.0.152")
	s = p.eventually("missing address", func(s *api.NodeStatus) bool { return s.ConfigError != "" })
	if !strings.Contains(s.ConfigError, "10.10.0.152 is not on weir-north") {
		t.Error(s.ConfigError)
	}
	p.edit("cluster.yaml", "left: 10.10.0.152", "left: 10.10.0.102")
	p.edit("cluster.yaml", "id: lb1, number: 1", "id: lb1, number: 9")
	p.eventually("another number", func(s *api.NodeStatus) bool { return strings.Contains(s.ConfigError, "restart noded and dataplane") })
}

func TestMetricsHoldEveryCounterOfTheDataplane(t *testing.T) {
	p := newPlace(t, nil)
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	p.start()
	p.eventually("announcement, as there is nobody else", func(s *api.NodeStatus) bool { return phaseOf(s) == api.PhaseAnnounced })
	r, err := http.Get("http://127.0.0.1:19100/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`weir_drops_total{reason="bad_tag"} 9`, `weir_drops_total{reason="stranger"} 0`, `weir_flows{state="established"} 7`,
		`weir_flows_capacity{state="half_open"} 100`, `weir_events_total{event="ingress_forwarded"} 42`,
		`weir_messages_total{dir="out",type="offer"} 11`, `weir_port_packets_total{dir="rx",port="north"} 100`, `weir_dataplane_up 1`,
		`weir_worker_busy_ratio{core="-1",stage="all",worker="0"} 0.25`, `weir_config_current 1`, `weir_node_healthy{node="lb1"} 1`, `weir_node_healthy{node="lb3"} 0`,
		`weir_node_phase{node="lb1",phase="announced"} 1`, `weir_ring_synced 1`, `weir_pings_answered_total{node="lb2",side="north"} 0`,
		`weir_bgp_session_up{advertises="lb1",peer="10.10.0.1",slot="self",source="10.10.0.11"} 0`, `weir_build_info{`, `go_goroutines`, `process_open_fds`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(string(b))
	}
}

func TestWhatCannotStartSaysWhyInOneLine(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:19101")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	for _, tc := range []struct {
		name   string
		change func(string) string
		code   int
		want   string
	}{
		{"metrics port in use", replace("127.0.0.1:19100", "127.0.0.1:19101"), program.ExitFailed, "metrics address 127.0.0.1:19101 is in use"},
		{"metrics address absent", replace("127.0.0.1:19100", "192.0.2.1:9100"), program.ExitFailed, "metrics address 192.0.2.1:9100 is not on this machine"},
		{"source address absent", replace("right: 10.10.0.103", "right: 10.10.0.153"), program.ExitFailed, "BGP source address 10.10.0.153 is not on weir-north; add it: ip address add"},
		{"interface absent", replace("exception: weir-north", "exception: weir-other"), program.ExitFailed, "interface weir-other, which carries the BGP source addresses, is not there"},
		{"bad cluster file", replace("fabric_mtu", "mtu"), program.ExitUsage, "cluster.yaml:3: mtu: unknown key"},
		{"unknown node", replace("node: lb1", "node: lb7"), program.ExitUsage, `node "lb7" is not in cluster lab`},
		{"no cluster file", replace("cluster_file: cluster.yaml", "cluster_file: other.yaml"), program.ExitUsage, "other.yaml: no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlace(t, tc.change)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := run(ctx, slog.New(slog.NewTextHandler(t.Output(), nil)), p.path("node.yaml"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if got := program.ExitCode(err); got != tc.code {
				t.Errorf("exit code %d, want %d", got, tc.code)
			}
			p.isEmpty("run")
		})
	}
}

func TestASecondStartIsRefusedAndTheFirstGoesOn(t *testing.T) {
	p := newPlace(t, nil)
	p.start()
	p.eventually("start", func(*api.NodeStatus) bool { return true })
	err := run(t.Context(), slog.New(slog.NewTextHandler(t.Output(), nil)), p.path("node.yaml"))
	if err == nil || !strings.Contains(err.Error(), "another noded runs with run_dir") {
		t.Errorf("%v", err)
	}
	if _, err := p.status(); err != nil {
		t.Errorf("the first is gone: %v", err)
	}
	info, err := os.Stat(p.path("run/noded.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
}

func TestASignalReloadsAndTheSupervisorIsToldWhenNodedIsReady(t *testing.T) {
	p := newPlace(t, nil)
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "1500000")
	stop := p.start()
	told := func(want string) {
		t.Helper()
		b := make([]byte, 1024)
		notify.SetReadDeadline(time.Now().Add(10 * time.Second))
		for {
			n, err := notify.Read(b)
			if err == nil && string(b[:n]) != want && strings.HasPrefix(string(b[:n]), "STATUS=") {
				continue // what it does now
			}
			if err != nil || !strings.HasPrefix(string(b[:n]), want) {
				t.Errorf("told %q, %v, want %q", b[:n], err, want)
			}
			return
		}
	}
	told("READY=1\nSTATUS=no dataplane: no")
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	before := p.eventually("announcement", func(s *api.NodeStatus) bool { return phaseOf(s) == api.PhaseAnnounced })
	p.edit("cluster.yaml", "fabric_mtu: 1500", "fabric_mtu: 1400")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.eventually("reload", func(s *api.NodeStatus) bool { return s.Generation != before.Generation })
	told("WATCHDOG=1")
	t.Setenv("WATCHDOG_USEC", "")
	if err := stop(); err != nil {
		t.Error(err)
	}
	for range 100 {
		b := make([]byte, 1024)
		if n, err := notify.Read(b); err != nil || string(b[:n]) == "STOPPING=1" {
			if err != nil {
				t.Error(err)
			}
			break
		}
	}
}

// drain asks for it and returns every phase that was told.
func (p *place) drain(undrain bool) []string {
	p.t.Helper()
	return p.drainAs(&api.DrainRequest{Undrain: undrain})
}

func (p *place) drainAs(r *api.DrainRequest) []string {
	p.t.Helper()
	conn, err := grpc.NewClient("unix:"+p.path("run/noded.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(p.t.Context(), 15*time.Second)
	defer cancel()
	stream, err := api.NewAdminClient(conn).Drain(ctx, r)
	if err != nil {
		p.t.Fatal(err)
	}
	var told []string
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return told
		}
		if err != nil {
			p.t.Fatalf("after %q: %v", told, err)
		}
		told = append(told, m.Phase)
	}
}

func TestADrainedNodeStaysSoAcrossARestartUntilItIsPutBack(t *testing.T) {
	p := newPlace(t, nil)
	fake := newFakeDataplane()
	fake.serve(t, p.path("run/dataplane.sock"))
	stop := p.start()
	phase := func(want string) func(*api.NodeStatus) bool {
		return func(s *api.NodeStatus) bool { return phaseOf(s) == want }
	}
	p.eventually("announcement", phase(api.PhaseAnnounced))
	told := p.drain(false)
	if len(told) < 2 || !strings.Contains(told[len(told)-1], "drained") {
		t.Errorf("told %q", told)
	}
	s := p.eventually("drained", phase(api.PhaseDrained))
	if len(s.Bgp) != 0 || fake.last().Announced || !slices.ContainsFunc(s.Alarms, func(a string) bool { return strings.Contains(a, "weirctl node undrain lb1") }) {
		t.Errorf("%v", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.eventually("drained after a restart", phase(api.PhaseDrained))
	told = p.drain(true)
	if told[len(told)-1] != "in service" {
		t.Errorf("told %q", told)
	}
	p.eventually("announcement again", phase(api.PhaseAnnounced))
}

func TestANodeThatIsDrainedForItsRestartIsInServiceAfterIt(t *testing.T) {
	p := newPlace(t, nil)
	newFakeDataplane().serve(t, p.path("run/dataplane.sock"))
	stop := p.start()
	announced := func(s *api.NodeStatus) bool { return phaseOf(s) == api.PhaseAnnounced }
	p.eventually("announcement", announced)
	if told := p.drainAs(&api.DrainRequest{UntilRestart: true}); !strings.Contains(told[len(told)-1], "drained") {
		t.Errorf("told %q", told)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.eventually("announcement after the restart", announced)
}

func TestALoneNodeRaisesAnAlarm(t *testing.T) {
	b, err := os.ReadFile("../config/testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseCluster("c", b)
	if err != nil {
		t.Fatal(err)
	}
	if got := alarms(c, &api.NodeStatus{Learned: true, Nodes: []*api.NodeView{{Id: "lb1", Health: api.HealthHealthy, RingShare: 1}}}); len(got) != 1 || !strings.Contains(got[0], "not replicated") {
		t.Error(got)
	}
}

func TestRingSharesAreEvenAndAddUp(t *testing.T) {
	b, err := os.ReadFile("../config/testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseCluster("c", b)
	if err != nil {
		t.Fatal(err)
	}
	c.Keys = config.KeySet{Base: config.Key{1}, Control: []config.ControlKey{{ID: 1, Key: config.Key{1}}}}
	var s shares
	sum := 0.0
	view := membership.View{Learned: true, Epoch: 1, Nodes: []membership.NodeView{{Number: 1, Track: true}, {Number: 2, Track: true}, {Number: 3, Track: true}}}
	for n, v := range s.of(c, "lb1", &view) {
		if v < 0.31 || v > 0.36 {
			t.Errorf("node %d has %v of the ring", n, v)
		}
		sum += v
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("the shares add up to %v", sum)
	}
}
