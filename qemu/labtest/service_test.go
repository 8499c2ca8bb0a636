package labtest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"weir/qemu/topology"
)

// withoutService takes the configuration service away until the test ends.
func withoutService(t *testing.T) {
	t.Helper()
	if err := theLab.Stop(topology.ControllerID, "configd", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := theLab.Start(topology.ControllerID, "configd"); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, func() error { return theLab.Weirctl("get") })
	})
}

// Nothing but changes needs the configuration service (S-112): who boots
// meanwhile serves with its last good configuration (S-102).
func TestWithoutTheConfigurationServiceNothingChanges(t *testing.T) {
	h := hold(t, 3*time.Second)
	withoutService(t)
	n, s := theLab.Top.Nodes[2], theLab.Top.Servers[2]
	h.step("configd is away", func() error { return nil }, h.Whole())
	h.step("kill -9 "+n.ID, killed(n), h.Withdrawn(n), h.Whole(n.ID))
	h.step(n.ID+" boots", restarted(n), h.Whole())
	h.step("kill -9 and start of lbmodule of "+s.ID, func() error {
		if err := theLab.Kill(s.ID); err != nil {
			return err
		}
		return theLab.Restart(s.ID)
	}, h.Whole())
	before := offersOf(t, s)
	h.step("nothing", func() error { return nil })
	if got := offersOf(t, s); got.accepted == before.accepted {
		t.Errorf("%s, restarted, accepts no connection", s.ID)
	}
}

func TestKeysRotateUnderLoad(t *testing.T) {
	h := hold(t, 3*time.Second)
	for i := range 2 {
		h.step(fmt.Sprintf("weirctl keys rotate, time %d", i+1), func() error { return theLab.Weirctl("keys", "rotate") }, h.Whole())
	}
	n := theLab.Top.Nodes[0]
	h.step("kill -9 "+n.ID, killed(n), h.Withdrawn(n), h.Whole(n.ID))
	h.step(n.ID+" returns", restarted(n), h.Whole())
}
