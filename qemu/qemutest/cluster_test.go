package qemutest

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/manual"
)

func TestEveryNodeBootsWithoutComplaint(t *testing.T) {
	for _, n := range theLab.Top.Nodes {
		status, err := theLab.Booted(within(t, 2*time.Minute), n)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range status.Boot.Phases {
			if p.Result != "ok" && p.Result != "skipped" {
				t.Errorf("%s: phase %s is %s: %s; %s", n.ID, p.Name, p.Result, p.Reason, p.Remedy)
			}
		}
		drivers := map[string]string{}
		for _, nic := range status.Boot.Nics {
			drivers[nic.Role] = nic.Driver
		}
		if drivers["north"] != "vfio-pci" || drivers["south"] != "vfio-pci" {
			t.Errorf("%s: drivers of the NICs: %v", n.ID, drivers)
		}
		if status.Boot.State.Mode != "read-write" || status.Boot.ConfigSource != "disk" {
			t.Errorf("%s: state is %s, configuration from %q", n.ID, status.Boot.State.Mode, status.Boot.ConfigSource)
		}
	}
}

func TestWeirctlTellsOfMachines(t *testing.T) {
	eventually(t, time.Minute, func() error {
		weirctl := exec.Command(filepath.Join(theLab.Bin, "weirctl"), "--lab", "status", "-o", "json")
		weirctl.Dir = filepath.Dir(filepath.Dir(theLab.Bin))
		out, err := weirctl.Output()
		if err != nil {
			return err
		}
		var status struct {
			Nodes []struct{ ID, Health, Version string }
		}
		if err := json.Unmarshal(out, &status); err != nil {
			return err
		}
		if len(status.Nodes) != len(theLab.Top.Nodes) {
			return fmt.Errorf("%d nodes: %s", len(status.Nodes), out)
		}
		for _, n := range status.Nodes {
			if n.Health != "healthy" || n.Version == "" {
				return fmt.Errorf("%+v", n)
			}
		}
		return nil
	})
}

func TestEveryCommandOfThePageWorks(t *testing.T) {
	root := filepath.Join("..", "..")
	commands, failed := manual.Page(root, filepath.Join(root, "docs", "qemu-lab.md"))
	for _, err := range failed {
		t.Error(err)
	}
	if commands < 5 {
		t.Errorf("found only %d commands", commands)
	}
}

func TestACableThatIsPulledTakesTheNodeOutUntilItIsBack(t *testing.T) {
	n := theLab.Top.Nodes[0]
	routes, err := theLab.WatchRoutes()
	if err != nil {
		t.Fatal(err)
	}
	defer routes.Close()
	if err := theLab.Unplug(n, lab.North); err != nil {
		t.Fatal(err)
	}
	if _, err := routes.Withdrawn(within(t, 30*time.Second), n); err != nil {
		t.Error(err)
	}
	if err := theLab.Plug(n, lab.North); err != nil {
		t.Fatal(err)
	}
	if _, err := routes.Announced(within(t, time.Minute), n); err != nil {
		t.Error(err)
	}
}
