package hugepages

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/init/phase"
	"weir/init/sysfs"
)

const mib, gib = 1 << 20, 1 << 30

// machine has NUMA nodes with so many MiB free of their 1024, and pages of 2 MiB
// and 1 GiB, none reserved.
func machine(t *testing.T, free ...int) System {
	t.Helper()
	s := System{Root: t.TempDir()}
	for i, mibFree := range free {
		n := node{name: fmt.Sprint("node", i)}
		dir := filepath.Join(s.Root, "/sys/devices/system/node", n.name)
		for _, size := range []int64{2 * mib, gib} {
			write(t, filepath.Join(s.pages(n, size), "nr_hugepages"), "0\n")
		}
		write(t, filepath.Join(dir, "meminfo"), fmt.Sprintf("Node %d MemTotal:   1048576 kB\nNode %d MemFree:   %d kB\n", i, i, mibFree<<10))
	}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPagesAreReservedOnEveryNUMANode(t *testing.T) {
	s := machine(t, 900, 900)
	o := s.Reserve(Want{Size: 2 * mib, PerNUMA: 256 * mib, Needed: 64 * mib})
	if o.Result != phase.OK || o.Reason != "256 MiB of 2 MiB pages on 2 NUMA nodes" {
		t.Error(o)
	}
	for _, n := range []string{"node0", "node1"} {
		if got := sysfs.Number(filepath.Join(s.pages(node{name: n}, 2*mib), "nr_hugepages"), 0); got != 128 {
			t.Errorf("%s: %d pages", n, got)
		}
	}
}

func TestAMachineThatWouldBeLeftWithoutMemoryKeepsItAndSaysWhatToDo(t *testing.T) {
	s := machine(t, 300)
	o := s.Reserve(Want{Size: 2 * mib, PerNUMA: 256 * mib, Needed: 64 * mib})
	want := "NUMA node 0 cannot give 256 MiB for huge pages: it has 1 GiB, 300 MiB of it free, and 160 MiB stay with the kernel and the services"
	if o.Result != phase.Failed || o.Reason != want {
		t.Error(o)
	}
	if o.Remedy != "give the machine more memory, or lower machine.hugepages.per_numa (the dataplane needs 64 MiB)" {
		t.Error(o.Remedy)
	}
	if got := sysfs.Number(filepath.Join(s.pages(node{name: "node0"}, 2*mib), "nr_hugepages"), 0); got != 0 {
		t.Errorf("%d pages were reserved all the same", got)
	}
}

func TestOneNUMANodeThatSufficesForThePacketProcessorIsDegradedNotFailed(t *testing.T) {
	o := machine(t, 900, 10).Reserve(Want{Size: 2 * mib, PerNUMA: 256 * mib, Needed: 64 * mib})
	if o.Result != phase.Degraded || !strings.Contains(o.Reason, "NUMA node 1 cannot give") {
		t.Error(o)
	}
}

func TestAKernelThatGivesFewerPagesIsReportedWithBothNumbers(t *testing.T) {
	s := machine(t, 900)
	file := filepath.Join(s.pages(node{name: "node0"}, 2*mib), "nr_hugepages")
	write(t, file, "5\n")
	n := node{name: "node0", total: gib, reserved: 64 * mib} // reserved before, so nothing is written; since then some are lost
	_, err := s.reserve(n, Want{Size: 2 * mib, PerNUMA: 64 * mib})
	if err == nil || !strings.Contains(err.Error(), "gave 5 of 32 pages of 2 MiB") {
		t.Error(err)
	}
}

func TestThePagesOfTheBootCommandLineAreKept(t *testing.T) {
	s := machine(t, 10)
	write(t, filepath.Join(s.pages(node{name: "node0"}, gib), "nr_hugepages"), "2\n")
	if o := s.Reserve(Want{Size: gib, PerNUMA: gib, Needed: gib}); o.Result != phase.OK {
		t.Error(o)
	}
	if got := sysfs.Number(filepath.Join(s.pages(node{name: "node0"}, gib), "nr_hugepages"), 0); got != 2 {
		t.Errorf("%d pages are left of 2", got)
	}
}

func TestAPageSizeThatTheProcessorLacksIsToldWithARemedy(t *testing.T) {
	s := machine(t, 900)
	os.RemoveAll(s.pages(node{name: "node0"}, gib))
	o := s.Reserve(Want{Size: gib, PerNUMA: gib, Needed: gib})
	if o.Result != phase.Failed || !strings.Contains(o.Reason, "no huge pages of 1 GiB") || !strings.Contains(o.Remedy, "machine.hugepages.size") {
		t.Error(o)
	}
}

func TestAShortageOfLargePagesNamesTheBootCommandLine(t *testing.T) {
	o := machine(t, 900).Reserve(Want{Size: gib, PerNUMA: 2 * gib, Needed: gib})
	if !strings.Contains(o.Remedy, "hugepagesz=1G hugepages=2") {
		t.Error(o.Remedy)
	}
}

func TestAKernelWithoutNUMAHasOneNode(t *testing.T) {
	s := System{Root: t.TempDir()}
	write(t, filepath.Join(s.Root, "/proc/meminfo"), "MemTotal: 1048576 kB\nMemFree: 900000 kB\n")
	write(t, filepath.Join(s.Root, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), "0\n")
	if o := s.Reserve(Want{Size: 2 * mib, PerNUMA: 64 * mib}); o.Result != phase.OK {
		t.Error(o)
	}
}

func TestAKernelThatASignalInterruptsIsAskedAgain(t *testing.T) {
	for _, c := range []struct{ each, has, want int64 }{{1, 48, 48}, {47, 60, 48}, {5, 12, 12}, {1, 0, 0}} {
		now := int64(0)
		got, err := raise(0, 48, func() (int64, error) {
			now = min(now+c.each, c.has, 48)
			return now, nil
		})
		if err != nil || got != c.want {
			t.Errorf("%d pages at a time of %d: got %d, %v", c.each, c.has, got, err)
		}
	}
}
