package engine

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"weir/dataplane/dpdk"
	"weir/dataplane/packet"
	"weir/qemu/netns"
)

var (
	pool *dpdk.Mempool
	// home is the namespace that the tests run in, away the one at the other
	// end of their cables.
	home = os.Getenv("WEIR_ENGINE_TEST")
	away = home + "-away"
)

// TestMain moves the process into a network namespace of its own, where it may
// make interfaces that nobody else sees, and starts DPDK on ordinary memory.
func TestMain(m *testing.M) {
	if home == "" {
		os.Exit(inNamespace(fmt.Sprintf("engt-%d", os.Getpid())))
	}
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func inNamespace(name string) (code int) {
	for _, ns := range []string{name, name + "-away"} {
		if err := netns.Add(ns); err != nil {
			fmt.Fprintln(os.Stderr, "these tests need root:", err)
			return 1
		}
		defer netns.Delete(ns)
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), "WEIR_ENGINE_TEST="+name)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := netns.Start(name, c)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "in the namespace:", err)
		return 1
	}
	return 0
}

func start() (err error) {
	if err := dpdk.Init(dpdk.EAL{FilePrefix: "enginetest", MemoryMiB: 96, NoHuge: true, NUMA: dpdk.AnyNUMA}); err != nil {
		return err
	}
	pool, err = dpdk.NewMempool("frames", 16383, dpdk.AnyNUMA)
	return err
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute not: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
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

func (f stageFunc) Tick(int64) int64 { return never }

var drop stageFunc = func(b *packet.Buf) { b.Verdict = packet.Drop }
