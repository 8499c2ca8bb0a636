// Package usage reads how much of its resources a server uses (S-30).
package usage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// CPU reads how much processor time is used.
type CPU interface {
	Read() (CPUTime, error)
}

// CPUTime is a reading. Periods and Throttled stay 0 without a quota.
type CPUTime struct {
	Used      float64 // ns since some past moment
	Capacity  float64 // ns that may be used per second
	Periods   float64 // scheduling periods of the quota so far
	Throttled float64 // … in which it did not suffice
}

// OpenCPU measures a control group, of version 1 or 2, against its quota; with
// "" the whole machine.
func OpenCPU(cgroup string) (CPU, error) {
	var c CPU
	switch {
	case cgroup == "":
		c = machine{}
	case exists(filepath.Join(cgroup, "cpu.stat")) && exists(filepath.Join(cgroup, "cgroup.controllers")):
		c = &group2{cgroup}
	default:
		g, err := openGroup1(cgroup)
		if err != nil {
			return nil, err
		}
		c = g
	}
	if _, err := c.Read(); err != nil {
		return nil, err
	}
	return c, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// wholeMachine is the capacity without a quota.
func wholeMachine() float64 { return float64(runtime.NumCPU()) * 1e9 }

// group2 is a group of control groups version 2.
type group2 struct{ dir string }

func (g *group2) Read() (CPUTime, error) {
	stat, err := readStat(g.dir)
	if err != nil {
		return CPUTime{}, err
	}
	t := CPUTime{Used: stat["usage_usec"] * 1e3, Capacity: wholeMachine(), Periods: stat["nr_periods"], Throttled: stat["nr_throttled"]}
	b, err := os.ReadFile(filepath.Join(g.dir, "cpu.max"))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil // the controller is not enabled for it: no quota
	}
	if err != nil {
		return CPUTime{}, fmt.Errorf("read CPU quota of the control group: %w", err)
	}
	var quota, period float64
	if n, _ := fmt.Sscan(string(b), &quota, &period); n == 2 && period > 0 { // else "max"
		t.Capacity = min(t.Capacity, quota/period*1e9)
	}
	return t, nil
}

// readStat reads a group's cpu.stat: a name and a number per line.
func readStat(dir string) (map[string]float64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cpu.stat"))
	if err != nil {
		return nil, fmt.Errorf("read CPU time of the control group: %w", err)
	}
	stat := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if stat[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("read CPU time of the control group: %w", err)
		}
	}
	return stat, nil
}

// group1 is a group of control groups version 1, whose controllers cpu (quota)
// and cpuacct (use) may be mounted together or apart.
type group1 struct{ dir, quota, period, usage string }

func openGroup1(dir string) (*group1, error) {
	g := &group1{
		dir:    dir,
		quota:  filepath.Join(dir, "cpu.cfs_quota_us"),
		period: filepath.Join(dir, "cpu.cfs_period_us"),
		usage:  filepath.Join(dir, "cpuacct.usage"),
	}
	if !exists(g.quota) {
		return nil, fmt.Errorf("%s is not a CPU control group; create it, or remove cgroup from the module file to measure the whole machine", dir)
	}
	if !exists(g.usage) {
		g.usage = filepath.Join(strings.Replace(dir, "/cpu/", "/cpuacct/", 1), "cpuacct.usage")
	}
	if !exists(g.usage) {
		return nil, fmt.Errorf("there is no %s; put the served program into the cpuacct control group of the same name too", g.usage)
	}
	return g, nil
}

func (g *group1) Read() (CPUTime, error) {
	used, err := number(g.usage)
	if err != nil {
		return CPUTime{}, fmt.Errorf("read CPU time of the control group: %w", err)
	}
	quota, err := number(g.quota)
	if err != nil {
		return CPUTime{}, fmt.Errorf("read CPU quota of the control group: %w", err)
	}
	period, err := number(g.period)
	if err != nil {
		return CPUTime{}, fmt.Errorf("read CPU quota of the control group: %w", err)
	}
	stat, err := readStat(g.dir)
	if err != nil {
		return CPUTime{}, err
	}
	t := CPUTime{Used: used, Capacity: wholeMachine(), Periods: stat["nr_periods"], Throttled: stat["nr_throttled"]}
	if quota > 0 && period > 0 { // -1: none
		t.Capacity = min(t.Capacity, quota/period*1e9)
	}
	return t, nil
}

func number(path string) (float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(bytes.TrimSpace(b)), 64)
}

// machine is everything that runs here.
type machine struct{}

// tick is the unit of /proc/stat, in ns: USER_HZ is 100 on all of Linux's
// architectures that Go knows.
const tick = 10e6

func (machine) Read() (CPUTime, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return CPUTime{}, fmt.Errorf("read CPU time of the machine: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return CPUTime{}, fmt.Errorf("read CPU time of the machine: unexpected %q in /proc/stat", line)
	}
	t := CPUTime{Capacity: wholeMachine()}
	// user nice system idle iowait irq softirq steal
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return CPUTime{}, fmt.Errorf("read CPU time of the machine: %w", err)
		}
		t.Used += v * tick
	}
	return t, nil
}
