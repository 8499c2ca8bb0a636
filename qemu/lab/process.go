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

	"weir/qemu/netns"
)

// program is something that the lab keeps running in a namespace.
type program struct {
	machine   string // whose directory has its log and pid file
	name      string // "noded"
	namespace string
	cgroup    *cgroup // nil: the lab's own
	argv      []string
}

// running is a started program. exited gets its end, once.
type running struct {
	program
	pid    int
	log    string
	exited chan error
}

// start starts a program in the background, in a session of its own, with its
// output at the end of <machine>/<name>.log and its process in
// <machine>/<name>.pid.
func (l *Lab) start(p program) (*running, error) {
	dir := l.machineDir(p.machine)
	logPath := filepath.Join(dir, p.name+".log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s of %s: %w", p.name, p.machine, err)
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = netns.Do(p.namespace, func() error {
		if p.cgroup != nil {
			release, err := p.cgroup.prepare(cmd)
			if err != nil {
				return err
			}
			defer release()
		}
		return cmd.Start()
	})
	if err != nil {
		return nil, fmt.Errorf("start %s of %s: %w", p.name, p.machine, err)
	}
	r := &running{program: p, pid: cmd.Process.Pid, log: logPath, exited: make(chan error, 1)}
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		r.exited <- err
	}()
	if err := writePid(filepath.Join(dir, p.name+".pid"), r.pid); err != nil {
		cmd.Process.Kill()
		return nil, err
	}
	return r, nil
}

// alive returns an error with the end of the log if the program has ended.
func (r *running) alive() error {
	select {
	case err := <-r.exited:
		r.exited <- err
		text, _ := os.ReadFile(r.log)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) > 3 {
			lines = lines[len(lines)-3:]
		}
		return fmt.Errorf("%s of %s ended (%w): %s (all of it: %s)", r.name, r.machine, err, strings.Join(lines, " | "), r.log)
	default:
		return nil
	}
}

// A pid file holds the process and when it started, in ticks since boot, so
// that a reused number is never mistaken for ours.
func writePid(path string, pid int) error {
	ticks, err := startTicks(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // ended already: nothing to stop
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(fmt.Sprintf("%d %s\n", pid, ticks)), 0o644); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// readPid returns the process of a pid file, 0 if it has ended.
func readPid(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return 0
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	if ticks, err := startTicks(pid); err != nil || ticks != fields[1] || !isRunning(pid) {
		return 0
	}
	return pid
}

// startTicks is field 22 of /proc/PID/stat (proc(5)).
func startTicks(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("look at process %d: %w", pid, err)
	}
	// The name, in parentheses, may hold anything: count from its end.
	rest := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(rest) < 20 {
		return "", fmt.Errorf("look at process %d: strange /proc/%d/stat", pid, pid)
	}
	return rest[19], nil
}

// stopAll ends processes: politely, and after the grace period for good. It
// returns when none is left.
func stopAll(pids []int, grace time.Duration) error {
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	if waitGone(pids, grace) {
		return nil
	}
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if !waitGone(pids, 5*time.Second) {
		return fmt.Errorf("some of the processes %v do not end", pids)
	}
	return nil
}

func waitGone(pids []int, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for {
		left := 0
		for _, pid := range pids {
			if isRunning(pid) {
				left++
			}
		}
		if left == 0 {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// isRunning tells whether the process exists and is no zombie. While threads
// of it end, the first one may be a zombie already, with files still open.
func isRunning(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	after := strings.TrimSpace(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X") {
		return true
	}
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(threads) > 1
}
