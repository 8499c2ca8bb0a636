package labtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/topology"
)

// changed writes the cluster file of the service, with one thing replaced.
func changed(t *testing.T, old, new string) (file string) {
	t.Helper()
	text, err := weirctl("get")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in the cluster file:\n%s", old, text)
	}
	file = filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// everybodyCurrent checks that all machines have the newest revision in force.
func everybodyCurrent() error {
	out, err := weirctl("registrations", "-o", "json")
	if err != nil {
		return err
	}
	var list []struct{ ID, State, Error string }
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("understand %s: %w", out, err)
	}
	if want := len(theLab.Top.Nodes) + len(theLab.Top.Servers); len(list) < want {
		return fmt.Errorf("%d of %d machines have registered", len(list), want)
	}
	for _, m := range list {
		if m.State != "current" && m.State != "pending" { // pending: an earlier test removed it
			return fmt.Errorf("%s is %s: %s", m.ID, m.State, m.Error)
		}
	}
	return nil
}

func TestChangesAndRotationsUnderLoadLoseNothing(t *testing.T) {
	h := hold(t, 3*time.Second)
	run := func(args ...string) func() error {
		return func() error {
			if _, err := weirctl(args...); err != nil {
				return err
			}
			eventually(t, 10*time.Second, everybodyCurrent)
			return nil
		}
	}
	for range 3 {
		h.step("keys rotate", run("keys", "rotate"), h.Whole())
	}
	const endpoints = "endpoints:"
	h.step("other settings", run("apply", "-f", changed(t, endpoints, "handshake: {hold_packets: 48}\n"+endpoints)), h.Whole())
	h.step("another endpoint", run("apply", "-f", changed(t, endpoints, endpoints+"\n  - {name: extra, addresses: [203.0.113.99], ports: 80}")), h.Whole())
	h.step("and without it", run("apply", "-f", changed(t, endpoints+"\n  - {name: extra, addresses: [203.0.113.99], ports: 80}", endpoints)), h.Whole())
	h.step("as it was", run("apply", "-f", changed(t, "handshake: {hold_packets: 48}\n"+endpoints, endpoints)), h.Whole())
}

// A node and a module that start while the service is away serve from their
// last good configuration.
func TestWithoutTheConfigurationServiceNothingChanges(t *testing.T) {
	h := hold(t, 3*time.Second)
	node := theLab.Top.Nodes[0]
	h.step("kill -9 configd", func() error { return theLab.Stop(topology.ControllerID, "configd", syscall.SIGKILL) }, h.Whole())
	t.Cleanup(func() {
		if theLab.Pid(topology.ControllerID, "configd") == 0 {
			if err := theLab.Start(topology.ControllerID, "configd"); err != nil {
				t.Error(err)
			}
		}
	})
	h.step(fmt.Sprintf("kill -9 %s", node.ID), killed(node), h.Withdrawn(node))
	h.step(fmt.Sprintf("%s returns", node.ID), restarted(node), h.Whole())
	h.step("restart of a module", func() error {
		if err := theLab.Stop("srv1", "lbmodule", syscall.SIGTERM); err != nil {
			return err
		}
		return theLab.Start("srv1", "lbmodule")
	}, h.Whole())
	h.step("configd returns", func() error { return theLab.Start(topology.ControllerID, "configd") }, h.Whole())
	eventually(t, 20*time.Second, everybodyCurrent)
}
