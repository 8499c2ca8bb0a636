package boottest

import (
	"context"
	"testing"
	"time"
)

func TestAHungPID1IsResetByTheHardwareWatchdog(t *testing.T) {
	n, r := serving(t)
	n.eventuallySays("status", "i6300ESB", patience)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	q, err := n.QMP(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	// A frozen group takes its processes off the processor, PID 1 too: it is not
	// immune as it is to signals. The shell stays outside.
	n.shellAway("mkdir /sys/fs/cgroup/frozen && echo 1 > /sys/fs/cgroup/frozen/cgroup.procs && echo 1 > /sys/fs/cgroup/frozen/cgroup.freeze")
	if _, err := q.Await(ctx, "WATCHDOG"); err != nil {
		t.Fatalf("the watchdog did not bite: %v", err)
	}
	n.bootsAgain()
	n.serves(r)
	n.eventuallySays("status", "the boot before this one ended without a shutdown|look at crashes", patience)
}

func TestAKernelPanicRebootsAndItsRecordIsThereAfterwards(t *testing.T) {
	n, r := serving(t)
	n.shellAway("echo c > /proc/sysrq-trigger")
	if err := n.Expect(patience, "Kernel panic"); err != nil {
		t.Fatal(err)
	}
	n.bootsAgain()
	n.serves(r)
	n.eventuallySays("status", "an earlier boot crashed|crashes", patience)
	n.eventuallySays("crashes", "1 ", patience)
	n.eventuallySays("crashes 1", "sysrq", patience)
	// It outlives the machine's memory: it is on the state disk.
	n.login()
	n.says("the records on the state disk", n.shell("ls /var/lib/weir/crash"), "-kernel.txt")
}
