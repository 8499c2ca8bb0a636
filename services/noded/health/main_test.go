package health

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/services/config"
)

// inside marks the process that runs in a network namespace of its own.
const inside = "WEIR_HEALTH_TEST_INSIDE"

// TestMain runs the tests in a fresh network namespace with the addresses of
// nodes lb1 and lb2 of the example cluster; it goes away with the process.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		cmd := exec.Command("unshare", append([]string{"--net", "--", os.Args[0]}, os.Args[1:]...)...)
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "these tests need root and util-linux (make deps):", err)
			os.Exit(1)
		}
		return
	}
	for _, args := range []string{
		"link set lo up", "link add weir-north type veth peer name router", "link set weir-north up", "link set router up",
		"address add 10.10.0.11/24 dev weir-north", "address add 10.10.0.12/24 dev weir-north",
		"address add 10.20.0.11/24 dev lo", "address add 10.20.0.12/24 dev lo", "address add 10.20.0.101/24 dev lo", "address add 10.20.0.102/24 dev lo",
		"neighbour add 10.10.0.1 lladdr 02:00:00:00:00:01 dev weir-north",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "ip %s: %v: %s\n", args, err, out)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func exampleCluster(t *testing.T) *config.Cluster {
	t.Helper()
	b, err := os.ReadFile("../../config/testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseCluster("cluster.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	c.Keys = config.KeySet{Base: config.Key{1}, Control: []config.ControlKey{{ID: 1, Key: config.Key{1}}}}
	return c
}

// eventually waits until check finds nothing wrong.
func eventually(t *testing.T, limit time.Duration, what string, check func() string) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %s", what, limit, wrong)
		}
	}
}
