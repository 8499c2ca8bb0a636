package lab

import (
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// Stop ends one of our programs on a machine ("lb1", "dataplane") with the
// given signal and returns when it is gone.
func (l *Lab) Stop(machine, name string, signal syscall.Signal) error {
	pid := readPid(filepath.Join(l.machineDir(machine), name+".pid"))
	if pid == 0 {
		return fmt.Errorf("%s of %s is not running", name, machine)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("stop %s of %s: %w", name, machine, err)
	}
	if !waitGone([]int{pid}, 5*time.Second) {
		return fmt.Errorf("stop %s of %s: still running 5 s after %v", name, machine, signal)
	}
	return nil
}

// Start starts one of our programs again on a machine.
func (l *Lab) Start(machine, name string) error {
	if pid := readPid(filepath.Join(l.machineDir(machine), name+".pid")); pid != 0 {
		return fmt.Errorf("%s of %s is running already (process %d)", name, machine, pid)
	}
	p := l.ourProgram(machine, name)
	if n, ok := l.node(machine); ok {
		var err error
		if p, err = l.kind.program(n, name); err != nil {
			return err
		}
	}
	if _, err := l.start(p); err != nil {
		return err
	}
	return l.writeJSON()
}

// Pid is the process of a program of the lab, 0 if it is not running.
func (l *Lab) Pid(machine, name string) int {
	return readPid(filepath.Join(l.machineDir(machine), name+".pid"))
}
