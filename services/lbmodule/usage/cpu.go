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

// CPU reads processor time used, in ns since some past moment, and how much
// may be used, in ns per second.
type CPU interface {
	Read() (used, capacity float64, err error)
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
	if _, _, err := c.Read(); err != nil {
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

func (g *group2) Read() (used, capacity float64, err error) {
	b, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU time of the control group: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "usage_usec "); ok {
			if used, err = strconv.ParseFloat(strings.TrimSpace(v), 64); err != nil {
				return 0, 0, fmt.Errorf("read CPU time of the control group: %w", err)
			}
			used *= 1e3
		}
	}
	capacity = wholeMachine()
	b, err = os.ReadFile(filepath.Join(g.dir, "cpu.max"))
	if errors.Is(err, fs.ErrNotExist) {
		return used, capacity, nil // the controller is not enabled for it: no quota
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU quota of the control group: %w", err)
	}
	var quota, period float64
	if n, _ := fmt.Sscan(string(b), &quota, &period); n == 2 && period > 0 { // else "max"
		capacity = min(capacity, quota/period*1e9)
	}
	return used, capacity, nil
}

// group1 is a group of control groups version 1, whose controllers cpu (quota)
// and cpuacct (use) may be mounted together or apart.
type group1 struct{ quota, period, usage string }

func openGroup1(dir string) (*group1, error) {
	g := &group1{
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

func (g *group1) Read() (used, capacity float64, err error) {
	if used, err = number(g.usage); err != nil {
		return 0, 0, fmt.Errorf("read CPU time of the control group: %w", err)
	}
	quota, err := number(g.quota)
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU quota of the control group: %w", err)
	}
	period, err := number(g.period)
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU quota of the control group: %w", err)
	}
	capacity = wholeMachine()
	if quota > 0 && period > 0 { // -1: none
		capacity = min(capacity, quota/period*1e9)
	}
	return used, capacity, nil
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

func (machine) Read() (used, capacity float64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU time of the machine: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, fmt.Errorf("read CPU time of the machine: unexpected %q in /proc/stat", line)
	}
	// user nice system idle iowait irq softirq steal
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read CPU time of the machine: %w", err)
		}
		used += v * tick
	}
	return used, wholeMachine(), nil
}
