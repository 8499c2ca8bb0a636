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
	apart := write(t, filepath.Join(root, "cpu/x"), map[string]string{"cpu.cfs_quota_us": "20000\n", "cpu.cfs_period_us": "100000\n"})
	write(t, filepath.Join(root, "cpuacct/x"), map[string]string{"cpuacct.usage": "123456789\n"})
	for name, tc := range map[string]struct {
		dir            string
		used, capacity float64
	}{
		"version 2": {write(t, filepath.Join(root, "v2"), map[string]string{
			"cgroup.controllers": "cpu", "cpu.stat": "usage_usec 2500\nuser_usec 1\n", "cpu.max": "50000 100000\n"}), 2.5e6, 5e8},
		"version 2, no quota": {write(t, filepath.Join(root, "v2max"), map[string]string{
			"cgroup.controllers": "cpu", "cpu.stat": "usage_usec 2500\n", "cpu.max": "max 100000\n"}), 2.5e6, wholeMachine()},
		"version 1, together": {write(t, filepath.Join(root, "v1"), map[string]string{
			"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n", "cpuacct.usage": "7\n"}), 7, wholeMachine()},
		"version 1, apart": {apart, 123456789, 2e8},
	} {
		c, err := OpenCPU(tc.dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if used, capacity, err := c.Read(); err != nil || used != tc.used || capacity != tc.capacity {
			t.Errorf("%s: used %g of %g, %v; want %g of %g", name, used, capacity, err, tc.used, tc.capacity)
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
	first, capacity, err := c.Read()
	if err != nil || capacity < 1e9 {
		t.Fatalf("capacity %g, %v", capacity, err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		if used, _, _ := c.Read(); used > first {
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
