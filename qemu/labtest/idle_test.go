package labtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A lab of several nodes must leave the machine usable.
func TestAnIdleNodeUsesLessThanATenthOfACore(t *testing.T) {
	const window = 5 * time.Second
	before := map[string]time.Duration{}
	for _, n := range theLab.Top.Nodes {
		before[n.ID] = cpuTime(t, theLab.Pid(n.ID, "dataplane"))
	}
	<-time.After(window)
	for _, n := range theLab.Top.Nodes {
		used := cpuTime(t, theLab.Pid(n.ID, "dataplane")) - before[n.ID]
		share := 100 * used.Seconds() / window.Seconds()
		t.Logf("the idle dataplane of %s uses %.1f %% of a core", n.ID, share)
		if share >= 10 {
			t.Errorf("the idle dataplane of %s uses %.1f %% of a core, want less than 10 %%", n.ID, share)
		}
	}
}

// cpuTime is what a process has used: fields 14 and 15 of /proc/PID/stat, in
// hundredths of a second.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
