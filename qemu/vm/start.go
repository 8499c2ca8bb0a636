package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"weir/qemu/netns"
)

// Running is a machine that has been switched on.
type Running struct {
	*Machine
	Pid   int
	from  int64 // where this life begins in the serial log
	ended chan struct{}
	err   error // how QEMU ended; valid once ended is closed
}

// sockets is how long QEMU may take to make its sockets.
const sockets = 10 * time.Second

// Start switches the machine on. QEMU ends with the calling process at the
// latest, however that ends.
func (m *Machine) Start(accel string) (*Running, error) {
	if err := m.Prepare(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(m.QEMULog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start machine %s: %w", m.Name, err)
	}
	defer log.Close()
	r := &Running{Machine: m, from: sizeOf(m.SerialLog()), ended: make(chan struct{})}
	argv := m.Argv(accel)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	// The kernel sends this signal when the starting thread ends, so that thread
	// has to live as long as QEMU.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := m.inNamespace(cmd.Start)
		started <- err
		if err == nil {
			r.err = cmd.Wait()
			close(r.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start machine %s: %w: install the package qemu-system-x86 (make deps)", m.Name, err)
	}
	r.Pid = cmd.Process.Pid
	if err := m.awaitSockets(r.ended); err != nil {
		r.Kill()
		return nil, fmt.Errorf("start machine %s: %w", m.Name, err)
	}
	return r, nil
}

// inNamespace runs fn on this very thread, which stays in the namespace.
func (m *Machine) inNamespace(fn func() error) error {
	if m.Namespace == "" {
		return fn()
	}
	if err := netns.Enter(m.Namespace); err != nil {
		return err
	}
	return fn()
}

// awaitSockets waits until console and monitor can be reached.
func (m *Machine) awaitSockets(ended <-chan struct{}) error {
	deadline := time.Now().Add(sockets)
	for _, path := range []string{m.SerialSocket(), m.QMPSocket()} {
		for {
			if _, err := os.Stat(path); err == nil {
				break
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			select {
			case <-ended:
				return fmt.Errorf("QEMU ended: %s", lastLines(readText(m.QEMULog()), 3))
			case <-time.After(10 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("QEMU made no %s within %v: see %s", path, sockets, m.QEMULog())
			}
		}
	}
	return nil
}

// Kill is a power cut. It returns when QEMU is gone; a machine that is off
// already is no error.
func (r *Running) Kill() error {
	select {
	case <-r.ended:
		return nil
	default:
	}
	if err := syscall.Kill(r.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill machine %s: %w", r.Name, err)
	}
	<-r.ended
	return nil
}

// Ended is closed when QEMU has ended.
func (r *Running) Ended() <-chan struct{} { return r.ended }

// Wait waits until QEMU has ended: the machine was switched off, or wanted to
// boot again and may not. An error says that QEMU itself failed or ctx ended.
func (r *Running) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for machine %s to switch off: %w; the end of its console:\n%s", r.Name, context.Cause(ctx), r.tail())
	case <-r.ended:
	}
	if r.err != nil {
		return fmt.Errorf("QEMU of %s: %w: %s", r.Name, r.err, lastLines(readText(r.QEMULog()), 3))
	}
	return nil
}

// Console connects to the serial console. What the machine wrote since it was
// switched on is still to be expected there.
func (r *Running) Console() (*Console, error) {
	c, err := OpenConsole(r.SerialSocket(), r.SerialLog(), r.from)
	if err != nil {
		return nil, fmt.Errorf("console of %s: %w", r.Name, err)
	}
	c.name = r.Name
	return c, nil
}

// Text is everything that the console showed since the machine was switched on.
func (r *Running) Text() string {
	text := readText(r.SerialLog())
	return text[min(int64(len(text)), r.from):]
}

func (r *Running) tail() string { return lastLines(r.Text(), tailLines) }

func sizeOf(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\r\n "), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
