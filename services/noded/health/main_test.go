package health

import (
	"os"
	"testing"
	"time"

	"weir/qemu/netns/nstest"
	"weir/services/config"
)

// TestMain runs the tests in a fresh network namespace with the addresses of
// nodes lb1 and lb2 of the example cluster.
func TestMain(m *testing.M) {
	nstest.Single(m,
		"link set lo up", "link add weir-north type veth peer name router", "link set weir-north up", "link set router up",
		"address add 10.10.0.11/24 dev weir-north", "address add 10.10.0.12/24 dev weir-north",
		"address add 10.20.0.11/24 dev lo", "address add 10.20.0.12/24 dev lo", "address add 10.20.0.101/24 dev lo", "address add 10.20.0.102/24 dev lo",
		"neighbour add 10.10.0.1 lladdr 02:00:00:00:00:01 dev weir-north",
	)
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
