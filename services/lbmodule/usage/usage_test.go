package usage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAGroupIsMeasuredAgainstItsQuota(t *testing.T) {
	root := t.TempDir()
	apart := write(t, filepath.Join(root, "cpu/x"), map[string]string{"cpu.cfs_quota_us": "20000\n", "cpu.cfs_period_us": "100000\n",
		"cpu.stat": "nr_periods 3\nnr_throttled 2\nthrottled_time 5\n"})
	write(t, filepath.Join(root, "cpuacct/x"), map[string]string{"cpuacct.usage": "123456789\n"})
	for name, tc := range map[string]struct {
		dir  string
		want CPUTime
	}{
		"version 2": {write(t, filepath.Join(root, "v2"), map[string]string{
			"cgroup.controllers": "cpu", "cpu.stat": "usage_usec 2500\nuser_usec 1\nnr_periods 9\nnr_throttled 4\n", "cpu.max": "50000 100000\n"}), CPUTime{2.5e6, 5e8, 9, 4}},
		"version 2, no quota": {write(t, filepath.Join(root, "v2max"), map[string]string{
			"cgroup.controllers": "cpu", "cpu.stat": "usage_usec 2500\n", "cpu.max": "max 100000\n"}), CPUTime{2.5e6, wholeMachine(), 0, 0}},
		"version 1, together": {write(t, filepath.Join(root, "v1"), map[string]string{
			"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpuacct.usage": "7\n", "cpu.stat": "nr_periods 0\nnr_throttled 0\n"}), CPUTime{7, wholeMachine(), 0, 0}},
		"version 1, apart": {apart, CPUTime{123456789, 2e8, 3, 2}},
	} {
		c, err := OpenCPU(tc.dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := c.Read(); err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, tc.want)
		}
	}
}

func TestAMissingGroupSaysWhatToDo(t *testing.T) {
	if _, err := OpenCPU(t.TempDir()); err == nil || !strings.Contains(err.Error(), "create it") {
		t.Errorf("error is %v", err)
	}
}

func TestTheMachineIsMeasuredWithoutAGroup(t *testing.T) {
	c, err := OpenCPU("")
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Read()
	if err != nil || first.Capacity < 1e9 {
		t.Fatalf("%+v, %v", first, err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if now, _ := c.Read(); now.Used > first.Used {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no CPU time is used while this loop runs")
		}
	}
}

func TestTheLoopbackInterfaceHasCounters(t *testing.T) {
	if _, _, err := Bytes(1); err != nil {
		t.Error(err)
	}
}
