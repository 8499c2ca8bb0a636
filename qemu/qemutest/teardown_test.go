package qemutest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"weir/qemu/netns"
)

// The lab is gone afterwards, so this file has to be the last in order of the alphabet,
// which is the order of tests.
func TestNothingIsLeftBehindByALabThatIsRemovedOrInterrupted(t *testing.T) {
	var pids []int
	for _, n := range theLab.Top.Nodes {
		pids = append(pids, theLab.Pid(n.ID, "qemu"))
	}
	if err := theLab.Down(); err != nil {
		t.Fatal(err)
	}
	gone(t, pids)

	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	ended := make(chan error, 1)
	go func() { ended <- theLab.Up(ctx) }()
	pids = nil
	eventually(t, time.Minute, func() error {
		for _, n := range theLab.Top.Nodes {
			if theLab.Pid(n.ID, "qemu") == 0 {
				return fmt.Errorf("%s is not switched on", n.ID)
			}
		}
		return nil
	})
	for _, n := range theLab.Top.Nodes {
		pids = append(pids, theLab.Pid(n.ID, "qemu"))
	}
	interrupt()
	if err := <-ended; err == nil {
		t.Error("a start that was interrupted says that it succeeded")
	}
	gone(t, pids)
}

// gone checks that machines and namespaces are.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			t.Errorf("QEMU, process %d, still runs", pid)
		}
	}
	if left, err := netns.List("weir-"); err != nil || len(left) > 0 {
		t.Errorf("namespaces are left: %v %v", left, err)
	}
	if _, err := theLab.ReadDescription(); err == nil {
		t.Error("lab.json is left")
	}
}
