package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/qemu/topology"
)

// Load keeps the CPU control group of a server at a share of its quota, in per
// cent, until ctx ends. What the server itself uses counts. The calling process
// moves into the group, so it should do nothing else.
func Load(ctx context.Context, s topology.Server, percent float64) error {
	g := cgroupOf(s)
	for _, dir := range g.dirs {
		if err := writeFile(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
	}
	// A busy machine must not keep the group from its quota.
	if err := g.setWeight(100); err != nil {
		return err
	}
	defer g.setWeight(1)
	// What may be used is a bucket that fills steadily. It holds little, so a
	// pause (of the machine, or under the quota) is not made up for later.
	const holds = 40 * time.Millisecond
	quota, err := g.quota()
	if err != nil {
		return err
	}
	share := quota * percent / 100
	used, err := g.usage()
	if err != nil {
		return err
	}
	var credit time.Duration
	last := time.Now()
	for ctx.Err() == nil {
		now := time.Now()
		total, err := g.usage()
		if err != nil {
			return err
		}
		credit += time.Duration(float64(now.Sub(last))*share) - (total - used)
		credit = min(credit, holds)
		last, used = now, total
		if credit <= 0 {
			time.Sleep(min(-credit+200*time.Microsecond, 10*time.Millisecond))
			continue
		}
		for until := now.Add(min(credit, time.Millisecond)); time.Now().Before(until); {
		}
	}
	return nil
}

// setWeight gives the group so many times the usual share of a busy machine.
func (g *cgroup) setWeight(times int) error {
	if g.v2 {
		return writeFile(filepath.Join(g.Dir(), "cpu.weight"), strconv.Itoa(min(100*times, 10_000)))
	}
	return writeFile(filepath.Join(g.Dir(), "cpu.shares"), strconv.Itoa(1024*times))
}

// quota is in cores.
func (g *cgroup) quota() (float64, error) {
	var text string
	if g.v2 {
		max, err := readFile(filepath.Join(g.Dir(), "cpu.max"))
		if err != nil {
			return 0, err
		}
		text = max
	} else {
		quota, err := readFile(filepath.Join(g.Dir(), "cpu.cfs_quota_us"))
		if err != nil {
			return 0, err
		}
		period, err := readFile(filepath.Join(g.Dir(), "cpu.cfs_period_us"))
		if err != nil {
			return 0, err
		}
		text = quota + " " + period
	}
	var quota, period float64
	if _, err := fmt.Sscan(text, &quota, &period); err != nil || period == 0 {
		return 0, fmt.Errorf("understand the quota %q of %s", text, g.Dir())
	}
	return quota / period, nil
}

// usage is the CPU time that the group has used.
func (g *cgroup) usage() (time.Duration, error) {
	if !g.v2 {
		text, err := readFile(filepath.Join(g.dirs[len(g.dirs)-1], "cpuacct.usage"))
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(text, 10, 64)
		return time.Duration(n), err
	}
	text, err := readFile(filepath.Join(g.Dir(), "cpu.stat"))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(text, "\n") {
		if micros, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(micros, 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("%s/cpu.stat has no usage_usec", g.Dir())
}

// SetQuota changes a server's quota, in microseconds of every PeriodMicros.
func SetQuota(s topology.Server, micros int) error {
	g := cgroupOf(s)
	if g.v2 {
		return writeFile(filepath.Join(g.Dir(), "cpu.max"), fmt.Sprintf("%d %d", micros, PeriodMicros))
	}
	return writeFile(filepath.Join(g.Dir(), "cpu.cfs_quota_us"), strconv.Itoa(micros))
}

func readFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read control group: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
