package pxetest

import (
	"strings"
	"testing"

	"weir/qemu/lab"
	"weir/qemu/vm"
)

func TestLongAMachineIsInstalledToItsMarkedDiskAndBootsFromIt(t *testing.T) {
	l, ctx := up(t)
	l.InstallMachines()
	joins(t, l, ctx, vm.NetworkPXE, lab.Alone)
	n := l.Top.Nodes[len(l.Top.Nodes)-1]
	must(t, l.AwaitBoot(ctx, n, "the machine says that it is installed", func(b lab.MachineBoot) bool { return b.Installed && b.Committed != "" }))
	routes, err := l.WatchRoutes()
	must(t, err)
	defer routes.Close()
	must(t, l.PowerCycle(ctx, n, routes))
	_, err = routes.Announced(ctx, n)
	must(t, err)
	s, err := l.Booted(ctx, n)
	must(t, err)
	if s.Boot.Slot != "a" || !strings.HasPrefix(s.Boot.ConfigSource, "provisiond at ") || s.Boot.State.Mode != "read-write" {
		t.Errorf("it runs from %q, configured by %s, with state %v", s.Boot.Slot, s.Boot.ConfigSource, s.Boot.State)
	}
}
