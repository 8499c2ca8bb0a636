package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/init/phase"
	"weir/init/supervisor"
	"weir/init/sysfs"
)

// services of a node, in the order in which they start. They stop in the
// reverse order: noded first, so that the node is unannounced before the
// dataplane is gone.
var services = []supervisor.Spec{
	{Name: "console-ttyS0", Command: []string{"/bin/console", "--terminal", "/dev/ttyS0"},
		Needs: []string{phaseMounts}, Notify: true, Start: 20 * time.Second, Stop: 2 * time.Second, OOM: -500},
	{Name: consoleTTY1, Command: []string{"/bin/console", "--terminal", "/dev/tty1"},
		Needs: []string{phaseMounts}, Notify: true, Start: 20 * time.Second, Stop: 2 * time.Second, OOM: -500},
	{Name: "dataplane", Command: []string{"/bin/dataplane", "--config", resolved},
		Needs: []string{phaseConfiguration, phaseNetwork, phaseHugepages, phaseNICs}, Notify: true,
		Start: 60 * time.Second, Watchdog: 10 * time.Second, Stop: 10 * time.Second, Weight: 1000, OOM: -900, Cores: true},
	{Name: "noded", Command: []string{"/bin/noded", "--config", resolved},
		Needs: []string{phaseConfiguration, phaseNetwork}, Notify: true,
		Start: 60 * time.Second, Watchdog: 30 * time.Second, Stop: 20 * time.Second, Weight: 500, OOM: -800},
	// It needs no configuration: a version that cannot read its own must go back.
	{Name: "updated", Command: []string{"/bin/updated", "--config", resolved},
		Needs: []string{phaseState}, Notify: true,
		Start: 60 * time.Second, Watchdog: 60 * time.Second, Stop: 5 * time.Second, OOM: -500},
}

// table is the services that this machine can have: no console on a display
// where there is none, as in most virtual machines.
func table(root string) []supervisor.Spec {
	classes, _ := filepath.Glob(filepath.Join(root, "/sys/bus/pci/devices/*/class"))
	// Base class 03 is display (PCI Code and ID Assignment Specification 1.11, section 1.4).
	display := slices.ContainsFunc(classes, func(path string) bool { return strings.HasPrefix(sysfs.Text(path), "0x03") })
	return slices.DeleteFunc(slices.Clone(services), func(s supervisor.Spec) bool { return s.Name == consoleTTY1 && !display })
}

// consoleTTY1 is the console on the first virtual terminal.
const consoleTTY1 = "console-tty1"

// essential are those without which a node is none.
var essential = []string{"dataplane", "noded"}

// servicesWait is how long the boot waits until they are ready.
const servicesWait = 60 * time.Second

// awaitServices waits until the services are ready, or cannot be.
func (n *node) awaitServices(ctx context.Context) phase.Outcome {
	const remedy = "see their logs on the console, and the phases that they wait for"
	for deadline := time.Now().Add(servicesWait); ; {
		var missing []string
		hopeless := true
		for _, s := range n.super.Status() {
			if !slices.Contains(essential, s.Name) || s.State == supervisor.Ready {
				continue
			}
			missing = append(missing, describe(s))
			hopeless = hopeless && s.State == supervisor.Waiting
		}
		if len(missing) == 0 {
			return phase.Detail("%s are ready", strings.Join(essential, " and "))
		}
		if hopeless || time.Now().After(deadline) {
			return phase.Fail(remedy, "%s", strings.Join(missing, "; "))
		}
		select {
		case <-ctx.Done():
			return phase.Skip("the machine ends")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func describe(s supervisor.Status) string {
	switch {
	case s.State == supervisor.Waiting:
		return fmt.Sprintf("%s waits for %s", s.Name, s.WaitsFor)
	case s.LastEnd != "":
		return fmt.Sprintf("%s is %s, its last life ended with: %s", s.Name, s.State, s.LastEnd)
	}
	return fmt.Sprintf("%s is %s", s.Name, s.State)
}
