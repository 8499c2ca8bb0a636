// Package netns makes network namespaces and runs Go code and programs in
// them. Only the network namespace changes: /sys, and with it the bpf and
// cgroup file systems, stays shared, unlike with "ip netns exec".
package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const dir = "/run/netns"

// Path is the file that names the namespace.
func Path(name string) string { return filepath.Join(dir, name) }

// Exists tells whether the namespace is there.
func Exists(name string) bool {
	_, err := os.Stat(Path(name))
	return err == nil
}

// List names the namespaces that start with prefix.
func List(prefix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Add makes a namespace with its loopback interface up. iproute2 does it,
// because it also makes the mount point shared as other tools expect.
func Add(name string) error {
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Errorf("make network namespace %s: %s", name, strings.TrimSpace(string(out)))
	}
	if out, err := exec.Command("ip", "-n", name, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("raise loopback of %s: %s", name, strings.TrimSpace(string(out)))
	}
	return nil
}

// Delete removes a namespace; one that is not there is no error. Its
// interfaces vanish once no process lives in it.
func Delete(name string) error {
	if !Exists(name) {
		return nil
	}
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		return fmt.Errorf("remove network namespace %s: %s", name, strings.TrimSpace(string(out)))
	}
	return nil
}

// Do runs fn on a thread inside the namespace. Sockets that fn opens stay
// there. The thread ends with fn, so it never has to find its way back.
func Do(name string, fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		if err := Enter(name); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// Enter moves the calling thread into the namespace, for good: lock the
// goroutine to it before, and never unlock it.
func Enter(name string) error {
	f, err := os.Open(Path(name))
	if err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}

// Start starts the command inside the namespace.
func Start(name string, cmd *exec.Cmd) error {
	return Do(name, cmd.Start)
}

// Output runs a program inside the namespace and returns what it wrote. The
// error holds what it wrote to standard error.
func Output(ctx context.Context, name string, argv ...string) (string, error) {
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := Start(name, cmd); err != nil {
		return "", fmt.Errorf("start %s in %s: %w", argv[0], name, err)
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s in %s: %w: %s", strings.Join(argv, " "), name, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Dialer opens connections from the namespace, to literal addresses only: a
// name would be resolved on a thread outside of it.
func Dialer(name string, d net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = Do(name, func() error {
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// Listen opens a TCP listener inside the namespace.
func Listen(name, network, address string) (l net.Listener, err error) {
	err = Do(name, func() error {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// Sysctl sets a network setting of the namespace: "net/ipv4/ip_forward".
func Sysctl(name, key, value string) error {
	return Do(name, func() error {
		if err := os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0); err != nil {
			return fmt.Errorf("set %s to %s in %s: %w", key, value, name, err)
		}
		return nil
	})
}

// Processes lists the processes that live in the namespace.
func Processes(name string) ([]int, error) {
	var want syscall.Stat_t
	if err := syscall.Stat(Path(name), &want); err != nil {
		return nil, fmt.Errorf("look at network namespace %s: %w", name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil {
			continue
		}
		var st syscall.Stat_t
		if syscall.Stat(filepath.Join("/proc", e.Name(), "ns/net"), &st) == nil && st.Ino == want.Ino {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
