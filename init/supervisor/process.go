package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weir/init/logs"
)

// process is one life of a service.
type process struct {
	cmd     *exec.Cmd
	group   *group        // nil: there are no cgroups
	drained chan struct{} // closed when nobody can write to its log any more
}

// launch starts the service, its output going to its log.
func launch(s Spec, g *group, notify string, log *logs.Source) (*process, error) {
	p := &process{cmd: exec.Command(s.Command[0], s.Command[1:]...), group: g, drained: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=/bin:/bbin:/sbin:/usr/bin:/usr/sbin", "HOME=/"}, s.Env...)
	if s.Notify {
		p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+notify)
	}
	if s.Watchdog > 0 {
		p.cmd.Env = append(p.cmd.Env, "WATCHDOG_USEC="+strconv.FormatInt(s.Watchdog.Microseconds(), 10))
	}
	p.cmd.Dir = "/"
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if g != nil {
		dir, err := os.Open(g.dir)
		if err != nil {
			return nil, fmt.Errorf("open its cgroup: %w", err)
		}
		defer dir.Close()
		p.cmd.SysProcAttr.UseCgroupFD, p.cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		r.Close()
		return nil, err
	}
	// Best effort: a kernel without it runs the service as well.
	_ = os.WriteFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "oom_score_adj"), []byte(strconv.Itoa(s.OOM)), 0)
	go func() {
		defer close(p.drained)
		defer r.Close()
		out := log.Writer()
		defer out.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Read(buf)
			out.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	return p, nil
}

// What is left of a service is killed and has this long to go.
const leftoverGrace = 5 * time.Second

// wait returns when the first process has ended, the rest of its group too, and
// its last words are in the log.
func (p *process) wait() end {
	err := p.cmd.Wait()
	e := end{how: "exit status 0", clean: err == nil}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		e.how = exit.Error()
	case err != nil:
		e.how = err.Error()
	}
	p.kill()
	if p.group != nil {
		p.group.waitEmpty(leftoverGrace)
		e.cpu, _ = p.group.use()
		p.group.remove()
	}
	select {
	case <-p.drained:
	case <-time.After(leftoverGrace): // somebody who left the group has the pipe still
	}
	return e
}

// signal sends to the first process, and wakes it if it is stopped.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}

// kill ends all processes of the service that there are.
func (p *process) kill() {
	if p.group != nil && p.group.kill() == nil {
		return
	}
	_ = unix.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}
