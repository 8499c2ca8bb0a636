package program

import (
	"os"
	"strings"
	"testing"
)

func TestTheRuntimesMonitorMayBeLateAndNobodyElse(t *testing.T) {
	if err := calmMonitor("/proc"); err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	calm := 0
	for _, thread := range threads {
		slack, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(slack)) == "5000000" {
			calm++
		}
	}
	if calm != 1 {
		t.Errorf("%d of %d threads may be late", calm, len(threads))
	}
	if err := calmMonitor(t.TempDir()); err == nil {
		t.Error("no error where there are no threads")
	}
}
