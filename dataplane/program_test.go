package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"weir/dataplane/lbnode"
	"weir/dataplane/packet"
	"weir/dataplane/wire"
	"weir/qemu/netns"
	"weir/qemu/netns/nstest"
	"weir/services/api"
)

const nodeFile = `node: lb1
cluster_file: cluster.yaml
run_dir: run
dataplane:
  file_prefix: dptest
  memory: 32MiB
  hugepages: false
  north: {device: "af_packet:north0", exception: exc-north}
  south: {device: "af_packet:south0", exception: exc-south}
  flows: 4096
  half_open: 1024
  held: 256
`

// cable lays the node's two cables and makes its exception interfaces.
func cable(t *testing.T) {
	t.Helper()
	for i, side := range []string{"north", "south"} {
		nic, tap := side+"0", "exc-"+side
		nstest.Must(t, netns.Veth(nstest.Home, nic, nstest.Away, side+"1", 1500))
		t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, nic)) })
		nstest.Must(t, netns.DropIngress(nstest.Home, nic))
		mac, err := netns.MAC(nstest.Home, nic)
		nstest.Must(t, err)
		nstest.Must(t, netns.Tap(nstest.Home, tap, mac, 1500))
		t.Cleanup(func() { nstest.Must(t, netns.DeleteLink(nstest.Home, tap)) })
		nstest.Must(t, netns.Address(nstest.Home, tap, netip.MustParsePrefix(fmt.Sprintf("10.8%d.0.1/24", i))))
		nstest.Must(t, netns.Address(nstest.Away, side+"1", netip.MustParsePrefix(fmt.Sprintf("10.8%d.0.2/24", i)), netip.MustParsePrefix(fmt.Sprintf("10.8%d.0.3/24", i))))
	}
}

// process is a running dataplane.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan error
	client api.DataplaneClient
}

// command is a dataplane about to run with this configuration.
func command(t *testing.T, dir, config string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(dir, "node.yaml")
	nstest.Must(t, os.WriteFile(file, []byte(config), 0o600))
	c := exec.Command("/proc/self/exe", "--config", file)
	c.Env = append(os.Environ(), "WEIR_DATAPLANE_RUN=1")
	return c
}

// launch starts a dataplane and returns when it has notified readiness, and then that it lives.
func launch(t *testing.T, dir string) *process {
	t.Helper()
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	nstest.Must(t, err)
	defer func() {
		ready.Close()
		os.Remove(filepath.Join(dir, "notify"))
	}()
	p := &process{cmd: command(t, dir, nodeFile), done: make(chan error, 1)}
	p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=1000000")
	p.cmd.Stderr = &p.stderr
	nstest.Must(t, p.cmd.Start())
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	nstest.Must(t, ready.SetReadDeadline(time.Now().Add(time.Minute)))
	go func() {
		// A program that ended before notifies nothing.
		err := <-p.done
		ready.SetReadDeadline(time.Now())
		p.done <- err
	}()
	for _, want := range []string{"READY=1\nSTATUS=forwards; answers no health pings", "WATCHDOG=1"} {
		for told := ""; !strings.HasPrefix(told, want); {
			b := make([]byte, 256)
			n, err := ready.Read(b)
			if told = string(b[:n]); err != nil || want != "WATCHDOG=1" && !strings.HasPrefix(told, want) {
				p.cmd.Process.Kill()
				<-p.done
				t.Fatalf("waiting for %s: %q %v\n%s", want, told, err, p.stderr.String())
			}
		}
	}
	conn, err := grpc.NewClient("unix:"+filepath.Join(dir, "run/dataplane.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	nstest.Must(t, err)
	t.Cleanup(func() { conn.Close() })
	p.client = api.NewDataplaneClient(conn)
	return p
}

func (p *process) status(t *testing.T) *api.DataplaneStatus {
	t.Helper()
	s, err := p.client.Status(context.Background(), &api.DataplaneStatusRequest{})
	nstest.Must(t, err)
	return s
}

// end sends a signal and returns the exit code.
func (p *process) end(t *testing.T, s os.Signal) int {
	t.Helper()
	nstest.Must(t, p.cmd.Process.Signal(s))
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// fails runs a dataplane that must end by itself with one line and a code.
func fails(t *testing.T, config, want string, code int) {
	t.Helper()
	dir := t.TempDir()
	failsIn(t, dir, config, want, code)
	if left, err := os.ReadDir(filepath.Join(dir, "run")); err == nil && len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func failsIn(t *testing.T, dir, config, want string, code int) {
	t.Helper()
	c := command(t, dir, config)
	out, _ := c.CombinedOutput() // the exit code follows
	if got := c.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	text := strings.TrimSpace(string(out))
	if strings.Contains(text, "\n") || !strings.HasPrefix(text, "dataplane: ") || !strings.Contains(text, want) {
		t.Errorf("want one line with %q, got:\n%s", want, out)
	}
}

// state is a cluster of two nodes and a server; of the addresses away, .2 is
// the router's and the other node's, .3 the server's.
func state() *api.DesiredState {
	c := &lbnode.Config{
		Self: 1, Epoch: 1, FabricMTU: 1500, WScale: 7, HoldBytes: 65536, HoldPkts: 16,
		Secrets: lbnode.Secrets{Control: []wire.ControlKey{{ID: 1, Key: wire.Key{K0: 1}}}, Cookie: []wire.Key{{K0: 2}}},
		Nodes: []lbnode.Node{
			{Number: 1, ID: "lb1", North: netip.MustParseAddr("10.80.0.11"), South: netip.MustParseAddr("10.81.0.1"), Tracker: true, Ingress: true, Egress: true, Seed: 1},
			{Number: 2, ID: "lb2", North: netip.MustParseAddr("10.80.0.12"), South: netip.MustParseAddr("10.81.0.2"), Tracker: true, Ingress: true, Egress: true, Seed: 2},
		},
		Servers:   []lbnode.Server{{Number: 1, ID: "srv1", Address: netip.MustParseAddr("10.81.0.3"), Weight: 1, Healthy: true, Seed: 3}},
		Endpoints: []lbnode.Endpoint{{Name: "web", Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.10")}, Proto: 6, PortFirst: 80, PortLast: 80, Servers: []uint16{1}, TTL: 8}},
	}
	c.Addresses[packet.South] = []netip.Addr{netip.MustParseAddr("10.81.0.1")}
	return api.NewDesiredState(c, []netip.Addr{netip.MustParseAddr("10.80.0.2")}, true)
}

func TestTheProgramServesItsSocketUntilItIsStopped(t *testing.T) {
	cable(t)
	dir := t.TempDir()
	p := launch(t, dir)

	first := p.status(t)
	if first.Generation != "" || len(first.Ports) != 2 || !first.Ports[0].LinkUp || first.Flows.Capacity < 4096 || first.BuffersFree == 0 {
		t.Errorf("status before the first state: %v", first)
	}
	if _, ok := first.Drops["not_configured"]; !ok {
		t.Error("a drop reason at 0 is not listed")
	}
	if _, err := p.client.Trace(context.Background(), &api.TraceRequest{Client: "192.0.2.1:4000", Vip: "203.0.113.10:80"}); err == nil {
		t.Error("a trace without a configuration")
	}

	s := state()
	for range 2 {
		a, err := p.client.Apply(context.Background(), s)
		nstest.Must(t, err)
		if a.Generation != s.Generation || a.BootId != first.BootId {
			t.Errorf("applied %v", a)
		}
	}
	nstest.Eventually(t, "all next hops are resolved", func() bool {
		list := p.status(t).Neighbours
		for _, n := range list {
			if len(n.Mac) != 6 {
				return false
			}
		}
		return len(list) == 3
	})

	bad := state()
	bad.Self, bad.Generation = 9, "bad"
	if _, err := p.client.Apply(context.Background(), bad); err == nil || !strings.Contains(err.Error(), "number 9") {
		t.Errorf("a state without this node: %v", err)
	}
	if g := p.status(t).Generation; g != s.Generation {
		t.Errorf("a refused state left generation %q", g)
	}
	tr, err := p.client.Trace(context.Background(), &api.TraceRequest{Client: "192.0.2.1:4000", Vip: "203.0.113.10:80"})
	nstest.Must(t, err)
	if tr.Endpoint != "web" || tr.Primary == tr.Secondary || tr.Ingress != nil || tr.Tracker != nil {
		t.Errorf("trace %v", tr)
	}

	// An address that the node gets later is the kernel's too.
	nstest.Must(t, netns.Address(nstest.Home, "exc-north", netip.MustParsePrefix("10.80.0.99/24")))
	nstest.Eventually(t, "the kernel is reached at its new address", func() bool {
		reached := false
		nstest.Must(t, netns.Do(nstest.Away, func() error {
			c, err := net.DialTimeout("tcp", "10.80.0.99:1", time.Second)
			reached = errors.Is(err, syscall.ECONNREFUSED)
			if err == nil {
				c.Close()
			}
			return nil
		}))
		return reached
	})

	idle(t, p)

	// A second start, with the same folder and with another one.
	failsIn(t, dir, nodeFile, "another dataplane runs", 1)
	fails(t, nodeFile, "held by another process; stop the other dataplane first", 1)

	if code := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	if left, err := os.ReadDir(filepath.Join(dir, "run")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if _, err := os.Stat("/var/run/dpdk/dptest"); err == nil {
		t.Error("DPDK's folder is left behind")
	}
	if strings.Contains(p.stderr.String(), "EAL") {
		t.Errorf("DPDK's noise:\n%s", p.stderr.String())
	}
}

// idle measures the program at rest (S-80): less than a tenth of a core.
func idle(t *testing.T, p *process) {
	t.Helper()
	const window = 2 * time.Second
	before, from := ticks(t, p.cmd.Process.Pid), time.Now()
	time.Sleep(window) // the thing measured
	share := float64(ticks(t, p.cmd.Process.Pid)-before) / 100 / time.Since(from).Seconds()
	t.Logf("idle: %.1f %% of a core", share*100)
	if share > 0.10 {
		t.Errorf("an idle node takes %.0f %% of a core", share*100)
	}
}

// ticks is a process's CPU time in hundredths of a second.
func ticks(t *testing.T, pid int) (sum int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	nstest.Must(t, err)
	_, rest, _ := strings.Cut(string(b), ") ")
	var user, system int
	f := strings.Fields(rest)
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return user + system
}

func TestACrashLeavesNothingThatStopsTheNextStart(t *testing.T) {
	cable(t)
	dir := t.TempDir()
	p := launch(t, dir)
	boot := p.status(t).BootId
	p.end(t, syscall.SIGKILL)
	again := launch(t, dir)
	if again.status(t).BootId == boot {
		t.Error("a new start has the old boot id")
	}
	nstest.Must(t, netns.DeleteLink(nstest.Home, "exc-south"))
	if err := <-again.done; err == nil || again.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(again.stderr.String(), "exc-south was deleted") {
		t.Errorf("its exception interface was deleted: %v\n%s", err, again.stderr.String())
	}
}

func TestWhatIsMissingIsNamedInOneLine(t *testing.T) {
	cable(t)
	edit := func(old, new string) string { return strings.Replace(nodeFile, old, new, 1) }
	for _, c := range []struct {
		config, want string
		code         int
	}{
		{edit("af_packet:north0", "af_packet:absent0"), "interface absent0 does not exist", 1},
		{edit("exc-south}", "absent1}"), "exception interface absent1 does not exist; create it", 1},
		{edit("af_packet:south0", "pci:0000:ff:00.0"), "dataplane.south.device: there is no PCI device 0000:ff:00.0; the machine's NICs are: ", 1},
		{edit("memory: 32MiB\n  hugepages: false", "memory: 1048576MiB"), "free huge pages of 2 MiB, the machine has", 1},
		{edit("held: 256", "layout: {mode: pipeline, rx: [900], tx: [901], workers: [902]}"), "is there such a core?", 1},
		{edit("held: 256", "hold: 256"), "node.yaml:12: dataplane.hold: unknown key", 2},
		{edit("memory: 32MiB", "memory: 31MiB"), "is not a usable amount", 2},
	} {
		fails(t, c.config, c.want, c.code)
	}
}

func TestASocketOfAnotherProgramIsLeftAlone(t *testing.T) {
	cable(t)
	dir := t.TempDir()
	nstest.Must(t, os.Mkdir(filepath.Join(dir, "run"), 0o755))
	l, err := net.Listen("unix", filepath.Join(dir, "run/dataplane.sock"))
	nstest.Must(t, err)
	defer l.Close()
	failsIn(t, dir, nodeFile, "is in use by another program", 1)
	if c, err := net.Dial("unix", l.Addr().String()); err != nil {
		t.Errorf("the other program's socket: %v", err)
	} else {
		c.Close()
	}
}
