package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/init/cpus"
)

// Groups is where the services' cgroups (version 2) are made; empty where there
// are none: then a service is its process group, and its use is not known.
type Groups string

// Controllers that a service's group has.
var controllers = []string{"cpu", "memory", "pids", "cpuset"}

// Prepare puts this process into a group of its own, "init", and hands the
// controllers on to all groups. Without a controller its figures are missing,
// nothing more.
func (g Groups) Prepare() error {
	for _, c := range controllers {
		_ = os.WriteFile(filepath.Join(string(g), "cgroup.subtree_control"), []byte("+"+c), 0)
	}
	if err := os.Mkdir(g.own().dir, 0o755); err != nil && !os.IsExist(err) {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	// It needs little, but that at once: a supervisor that starves is reset by the
	// hardware watchdog. An error: there is no controller for that.
	_ = g.own().write("cpu.weight", "10000")
	return g.own().write("cgroup.procs", strconv.Itoa(os.Getpid()))
}

// own is this process's group, nil without groups.
func (g Groups) own() *group {
	if g == "" {
		return nil
	}
	return &group{dir: filepath.Join(string(g), "init")}
}

// group makes a new one. It is never one that was used before: since the
// kernel knows of forks during cgroup.kill, it also kills what is cloned into a
// group that was killed at any time.
func (g Groups) group(name string) (*group, error) {
	if g == "" {
		return nil, nil
	}
	for n := 1; ; n++ {
		dir := filepath.Join(string(g), name)
		if n > 1 { // somebody sits in a former one and cannot be killed
			dir += "." + strconv.Itoa(n)
		}
		_ = os.Remove(dir)
		switch err := os.Mkdir(dir, 0o755); {
		case err == nil:
			return &group{dir: dir}, nil
		case !os.IsExist(err):
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
	}
}

// group is that of one life of a service; a nil group has nobody and no figures.
type group struct{ dir string }

func (g *group) write(file, text string) error {
	if err := os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0); err != nil {
		return fmt.Errorf("set up a cgroup: %w", err)
	}
	return nil
}

func (g *group) read(file string) string {
	b, _ := os.ReadFile(filepath.Join(g.dir, file)) // absent: without that controller
	return string(b)
}

// confine keeps the members on some of the cores.
func (g *group) confine(to cpus.Set) error {
	if g == nil {
		return fmt.Errorf("keep the packet processor's cores free: there are no cgroups on this machine")
	}
	return g.write("cpuset.cpus", to.String())
}

// kill ends everybody in the group (Linux 5.14).
func (g *group) kill() error { return g.write("cgroup.kill", "1") }

// has reports whether the process is a member.
func (g *group) has(pid int) bool {
	return g != nil && slices.Contains(strings.Fields(g.read("cgroup.procs")), strconv.Itoa(pid))
}

// waitEmpty waits until the last member is gone, or the time is over.
func (g *group) waitEmpty(limit time.Duration) {
	for end := time.Now().Add(limit); !strings.Contains(g.read("cgroup.events"), "populated 0"); {
		if time.Now().After(end) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// remove ends an empty group.
func (g *group) remove() { _ = os.Remove(g.dir) }

// use is what the members took: processor time, and memory now.
func (g *group) use() (cpu time.Duration, memory uint64) {
	if g == nil {
		return 0, 0
	}
	for line := range strings.Lines(g.read("cpu.stat")) {
		if us, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(us), 10, 64)
			cpu = time.Duration(n) * time.Microsecond
		}
	}
	memory, _ = strconv.ParseUint(strings.TrimSpace(g.read("memory.current")), 10, 64)
	return cpu, memory
}
