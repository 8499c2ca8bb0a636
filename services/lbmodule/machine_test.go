package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weir/qemu/netns"
)

// machine is a Debian in the network namespace of the world's server: systemd is
// its PID 1, in namespaces of its own for mounts, processes, control groups, host
// name and IPC. What is written there is gone with it (machineroot_test.go).
type machine struct {
	w   *world
	pid int
}

// boot starts a machine that finds the folder as its root, and reads it only.
func (w *world) boot(lower string) *machine {
	w.t.Helper()
	m := &machine{w: w}
	group := w.controlGroup()
	work := filepath.Join(w.dir, "machine")
	w.must(os.Mkdir(work, 0o755))
	c := exec.Command("/proc/self/exe")
	c.Env = []string{asMachine + "=" + lower + "\n" + work}
	c.Stdout, c.Stderr = w.log, w.log
	// The machine ends with this process: a signal comes with the end of the thread
	// that started it, which therefore lives as long.
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		UseCgroupFD: true, CgroupFD: int(group.Fd()), Pdeathsig: syscall.SIGKILL,
	}
	started, over := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: it is in another namespace
		err := netns.Enter(serverNS)
		if err == nil {
			err = c.Start()
		}
		started <- err
		<-over
	}()
	err := <-started
	w.t.Cleanup(func() { close(over); w.removeGroup(group) })
	w.must(err)
	w.t.Cleanup(func() {
		if w.t.Failed() {
			out, _ := m.try("journalctl --no-pager -n 60 -u weir-lbmodule; systemctl status --no-pager weir-lbmodule; systemctl list-jobs; systemctl --failed --no-pager; journalctl -b -p warning --no-pager | tail -40; ls /run/weir")
			w.t.Logf("the machine:\n%s\n%s", out, w.logged())
		}
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	m.pid = c.Process.Pid
	w.within(time.Minute, "systemd is up", func() bool {
		out, err := m.try("systemctl is-active sysinit.target")
		return err == nil && out == "active\n"
	})
	return m
}

// path is a file of the machine as this process finds it.
func (m *machine) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.pid, name) }

func (m *machine) write(name, text string, mode os.FileMode) {
	m.w.t.Helper()
	m.w.must(os.WriteFile(m.path(name), []byte(text), mode))
}

// try runs a shell script in the machine; the output has both streams.
func (m *machine) try(script string) (string, error) {
	c := exec.Command("nsenter", "-t", fmt.Sprint(m.pid), "-m", "-p", "-u", "-i", "-n", "-C", "--wdns=/", "sh", "-ec", script)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.String(), err
}

func (m *machine) run(script string) string {
	m.w.t.Helper()
	out, err := m.try(script)
	if err != nil {
		m.w.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return out
}

// property is what systemd says of the module's unit.
func (m *machine) property(name string) string {
	m.w.t.Helper()
	return strings.TrimSpace(m.run("systemctl show --value -p " + name + " weir-lbmodule"))
}

// controlGroup makes a control group of version 2 for a machine.
func (w *world) controlGroup() *os.File {
	w.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	w.must(err)
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if !strings.Contains(line, " - cgroup2 ") || f[3] != "/" {
			continue
		}
		dir := filepath.Join(f[4], fmt.Sprintf("weir-mt-%d", os.Getpid()))
		w.must(removeDeadGroups(filepath.Dir(dir)), os.MkdirAll(dir, 0o755))
		group, err := os.Open(dir)
		w.must(err)
		return group
	}
	w.t.Fatal("no control groups of version 2 are mounted; mount them: mount -t cgroup2 none DIRECTORY")
	return nil
}

// removeDeadGroups removes what runs left that were killed.
func removeDeadGroups(parent string) error {
	groups, err := filepath.Glob(filepath.Join(parent, "weir-mt-*"))
	for _, g := range groups {
		pid := strings.TrimPrefix(filepath.Base(g), "weir-mt-")
		if _, alive := os.Stat("/proc/" + pid); alive != nil {
			err = errors.Join(err, removeGroups(g))
		}
	}
	return err
}

// removeGroup removes a control group with all that systemd made in it, as soon
// as its last process has gone.
func (w *world) removeGroup(group *os.File) {
	defer group.Close()
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = removeGroups(group.Name()); err == nil {
			return
		}
	}
	w.t.Error(err)
}

func removeGroups(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeGroups(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, unix.Rmdir(dir))
}
