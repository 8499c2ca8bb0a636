package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/qemu/topology"
)

// A server may use half a core: QuotaMicros of every PeriodMicros. Loading one
// server thus leaves the others, and the LB nodes, alone.
const (
	QuotaMicros  = 50_000
	PeriodMicros = 100_000
)

// cgroupRoot is where the control group file systems are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// cgroup is a server's CPU control group: directories of the cpu and cpuacct
// hierarchies on version 1, one directory on version 2.
type cgroup struct {
	v2   bool
	dirs []string
}

// cgroupOf names the group of a server without making it.
func cgroupOf(s topology.Server) *cgroup {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return &cgroup{v2: true, dirs: []string{filepath.Join(cgroupRoot, s.Namespace)}}
	}
	g := &cgroup{}
	for _, controller := range []string{"cpu", "cpuacct"} {
		dir := filepath.Join(cgroupRoot, controller, s.Namespace)
		if len(g.dirs) == 1 && sameFile(filepath.Dir(dir), filepath.Dir(g.dirs[0])) {
			continue // cpu and cpuacct mounted together
		}
		g.dirs = append(g.dirs, dir)
	}
	return g
}

// Dir is the directory with the quota.
func (g *cgroup) Dir() string { return g.dirs[0] }

func (g *cgroup) make() error {
	for _, dir := range g.dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make CPU control group: %w: mount the cgroup file systems first", err)
		}
	}
	if g.v2 {
		return writeFile(filepath.Join(g.Dir(), "cpu.max"), fmt.Sprintf("%d %d", QuotaMicros, PeriodMicros))
	}
	if err := writeFile(filepath.Join(g.Dir(), "cpu.cfs_period_us"), strconv.Itoa(PeriodMicros)); err != nil {
		return err
	}
	return writeFile(filepath.Join(g.Dir(), "cpu.cfs_quota_us"), strconv.Itoa(QuotaMicros))
}

// prepare arranges that cmd starts inside the group. On version 1 it moves the
// calling thread there, which the caller must not reuse.
func (g *cgroup) prepare(cmd *exec.Cmd) (release func(), err error) {
	if g.v2 {
		f, err := os.Open(g.Dir())
		if err != nil {
			return nil, fmt.Errorf("open CPU control group: %w", err)
		}
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(f.Fd())
		return func() { f.Close() }, nil
	}
	for _, dir := range g.dirs {
		if err := writeFile(filepath.Join(dir, "tasks"), strconv.Itoa(syscall.Gettid())); err != nil {
			return nil, err
		}
	}
	return func() {}, nil
}

// remove deletes the group once its processes are gone.
func (g *cgroup) remove() error {
	for _, dir := range g.dirs {
		deadline := time.Now().Add(2 * time.Second)
		for {
			err := syscall.Rmdir(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("remove control group %s: %w", dir, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// leftoverCgroups finds groups of servers of any earlier lab.
func leftoverCgroups() []*cgroup {
	var found []*cgroup
	for _, pattern := range []string{"weir-srv*", "*/weir-srv*"} {
		dirs, _ := filepath.Glob(filepath.Join(cgroupRoot, pattern))
		for _, dir := range dirs {
			found = append(found, &cgroup{dirs: []string{dir}})
		}
	}
	return found
}

func (g *cgroup) processes() []int {
	var pids []int
	for _, dir := range g.dirs {
		text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func sameFile(a, b string) bool {
	sa, errA := os.Stat(a)
	sb, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %q: %w", text, err)
	}
	return nil
}
