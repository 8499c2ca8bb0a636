package pxetest

import (
	"fmt"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/vm"
)

func TestLongAVersionFromTheNetworkIsCommittedWhenItIsGoodAndGivenUpWhenItIsBad(t *testing.T) {
	const good, bad = "0.9.0", "0.9.1"
	l, ctx := up(t)
	joins(t, l, ctx, vm.NetworkBIOS, lab.Alone)
	n := l.Top.Nodes[len(l.Top.Nodes)-1]
	must(t, l.AwaitBoot(ctx, n, "the first version is committed", func(b lab.MachineBoot) bool { return b.Committed != "" && b.Trial == "" }))

	routes, err := l.WatchRoutes()
	must(t, err)
	defer routes.Close()
	must(t, l.AddVersion(ctx, good, nil))
	must(t, l.SetVersion(ctx, good))
	must(t, l.PowerCycle(ctx, n, routes))
	must(t, l.AwaitBoot(ctx, n, "the good version is committed", func(b lab.MachineBoot) bool { return b.Committed == good }))

	// Its init is none: the kernel panics, and the machine comes back without a word.
	must(t, l.AddVersion(ctx, bad, map[string][]byte{"init": []byte("no program\n")}))
	must(t, l.SetVersion(ctx, bad))
	must(t, l.PowerCycle(ctx, n, routes))
	must(t, l.AwaitBoot(ctx, n, "the bad version is given up", func(b lab.MachineBoot) bool { return b.Committed == good && b.Trial == bad && b.Failed != "" }))
	_, err = routes.Announced(ctx, n)
	must(t, err)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		s, err := l.NodeStatus(ctx, n)
		if err == nil && s.Version != good {
			err = fmt.Errorf("it runs %s", s.Version)
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
