package engine

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"weir/dataplane/dpdk"
	"weir/dataplane/packet"
)

var pool *dpdk.Mempool

// TestMain moves the process into a network namespace of its own, where it may
// make interfaces that nobody else sees and that end with it, and starts DPDK
// on ordinary memory.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_TEST_NETNS") == "" {
		os.Exit(inNamespace())
	}
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func inNamespace() int {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), "WEIR_TEST_NETNS=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := c.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "in a network namespace (needs root):", err)
		return 1
	}
	return 0
}

func start() (err error) {
	if err := dpdk.Init(dpdk.EAL{FilePrefix: "enginetest", MemoryMiB: 96, NoHuge: true}); err != nil {
		return err
	}
	pool, err = dpdk.NewMempool("frames", 16383)
	return err
}

// run runs a command and fails the test if it fails.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in 10 s not: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// peer is another network namespace, at the other end of veths. It lives as
// long as a process that does nothing in it.
type peer struct{ pid int }

func newPeer(t *testing.T) *peer {
	t.Helper()
	c := exec.Command("sleep", "infinity")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	return &peer{c.Process.Pid}
}

func (p *peer) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", fmt.Sprint(p.pid), "-n"}, args...)...)
}

func (p *peer) run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := p.command(args...).CombinedOutput(); err != nil {
		t.Fatalf("in peer: %v: %v\n%s", args, err, out)
	}
}

// veth makes name here, guarded so that the kernel sees nothing of what
// arrives, and eth0 with address in a new peer.
func veth(t *testing.T, name, address string) *peer {
	t.Helper()
	p := newPeer(t)
	run(t, "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(p.pid))
	t.Cleanup(func() { exec.Command("ip", "link", "del", name).Run() }) // may be gone with the peer
	run(t, "sysctl", "-qw", "net.ipv6.conf."+name+".disable_ipv6=1")
	run(t, "tc", "qdisc", "add", "dev", name, "clsact")
	run(t, "tc", "filter", "add", "dev", name, "ingress", "matchall", "action", "drop")
	p.run(t, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
	p.run(t, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
	p.run(t, "ip", "addr", "add", address, "dev", "eth0")
	p.run(t, "ip", "link", "set", "eth0", "up")
	return p
}

// steer sends everything to one place.
type steer int8

func (s steer) Steer(bufs []packet.Buf, to []int8) {
	for i := range bufs {
		to[i] = int8(s)
	}
}

// stageFunc is a stage without timers.
type stageFunc func(b *packet.Buf)

func (f stageFunc) Burst(_ int64, bufs []packet.Buf) {
	for i := range bufs {
		f(&bufs[i])
	}
}

func (f stageFunc) Tick(now int64) int64 { return never }

var drop stageFunc = func(b *packet.Buf) { b.Verdict = packet.Drop }
