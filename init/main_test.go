package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/init/logs"
	"weir/init/nic"
	"weir/init/phase"
	"weir/init/supervisor"
)

func TestServicesNeedOnlyPhasesThatThereAre(t *testing.T) {
	n := newNode()
	for _, s := range services {
		for _, need := range s.Needs {
			if r := n.phases.Result(need); r != phase.Pending { // it panics for one that is not in the list
				t.Errorf("%s needs %s, which is %s before the boot", s.Name, need, r)
			}
		}
	}
	super, err := supervisor.New(supervisor.Options{Now: phase.SinceKernel, Tell: n.tell, Logs: logs.NewStore(phase.SinceKernel), Notify: t.TempDir() + "/notify"}, services)
	if err != nil {
		t.Fatal(err)
	}
	n.super = super
	// Nothing was met: there is nothing to wait for.
	start := time.Now()
	o := n.awaitServices(context.Background())
	if o.Result != phase.Failed || !strings.Contains(o.Reason, "dataplane waits for configuration") || time.Since(start) > servicesWait/2 {
		t.Errorf("%+v after %v", o, time.Since(start))
	}
}

func TestAMachineWithoutADisplayHasNoConsoleOnIt(t *testing.T) {
	for class, want := range map[string]bool{"0x020000\n": false, "0x030000\n": true} {
		root := t.TempDir()
		dir := root + "/sys/bus/pci/devices/0000:00:01.0"
		os.MkdirAll(dir, 0o755)
		os.WriteFile(dir+"/class", []byte(class), 0o644)
		there := slices.ContainsFunc(table(root), func(s supervisor.Spec) bool { return s.Name == consoleTTY1 })
		if there != want || len(services) != 5 {
			t.Errorf("with a device of class %s: %v", class, there)
		}
	}
}

func TestAServiceThatIsNotReadyIsDescribedByWhatHoldsItUp(t *testing.T) {
	for want, s := range map[string]supervisor.Status{
		"noded waits for network": {Name: "noded", State: supervisor.Waiting, WaitsFor: "network"},
		"noded is backing off, its last life ended with: exit status 1": {Name: "noded", State: supervisor.BackingOff, LastEnd: "exit status 1"},
		"noded is starting": {Name: "noded", State: supervisor.Starting},
	} {
		if got := describe(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheAPITellsOfANodeThatHasNothingYet(t *testing.T) {
	n := newNode()
	n.nics = []nic.Assigned{{Want: nic.Want{Role: nic.North, Device: "mac:52:54:00:00:00:01"}, Err: errNoNIC}}
	b := n.status()
	if len(b.Phases) != 11 || b.Phases[0].Result != "pending" || b.Nics[0].Error == "" || b.Nics[0].Driver != "" || b.ConfigSource != "" || b.State == nil {
		t.Errorf("%+v", b)
	}
}

func TestACommandsExitCodeIsToldFromOneThatCannotBeRun(t *testing.T) {
	if out, code, err := run(context.Background(), "sh", "-c", "echo said; exit 4"); out != "said\n" || code != 4 || err != nil {
		t.Errorf("%q, %d, %v", out, code, err)
	}
	if _, _, err := run(context.Background(), "/no/such/program"); err == nil {
		t.Error("a program that is not there was run")
	}
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if _, _, err := run(ctx, "sleep", "1000"); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("a program that hangs: %v", err)
	}
}

func TestAConsoleThatTakesNothingHoldsNobodyUp(t *testing.T) {
	c := &console{lines: make(chan string, 1)}
	for range 10 {
		c.print("line\nand another")
	}
	if got := <-c.lines; got != "line\r\nand another\r\n" {
		t.Errorf("%q", got)
	}
}
