package lab

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/qemu/netns"
	"weir/qemu/topology"
)

// Kill ends all of our programs on a machine with SIGKILL, as near to at once
// as a process can, and returns when they are gone. For a node that is a QEMU
// machine it is a power cut.
func (l *Lab) Kill(machines ...string) error {
	var pids []int
	for _, machine := range machines {
		names := l.programsOf(machine)
		for _, name := range names {
			if pid := l.Pid(machine, name); pid != 0 {
				pids = append(pids, pid)
			}
		}
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill the programs of %v: %w", machines, err)
		}
	}
	if !waitGone(pids, 5*time.Second) {
		return fmt.Errorf("kill the programs of %v: some still run 5 s after SIGKILL", machines)
	}
	return nil
}

// Restart starts those of our programs on machines that do not run.
func (l *Lab) Restart(machines ...string) error {
	for _, machine := range machines {
		for _, name := range l.programsOf(machine) {
			if l.Pid(machine, name) != 0 {
				continue
			}
			if err := l.Start(machine, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// programsOf names what of ours runs on a machine.
func (l *Lab) programsOf(machine string) []string {
	if ok, _ := filepath.Match("srv*", machine); ok {
		return []string{moduleName}
	}
	return l.kind.programs(machine)
}

// Signal sends a signal to one of our programs, SIGSTOP and SIGCONT for instance.
func (l *Lab) Signal(machine, name string, signal syscall.Signal) error {
	pid := l.Pid(machine, name)
	if pid == 0 {
		return fmt.Errorf("%s of %s is not running", name, machine)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("send %v to %s of %s: %w", signal, name, machine, err)
	}
	return nil
}

// Side is one of a node's NICs.
type Side string

const (
	North Side = "north"
	South Side = "south"
)

// Unplug takes the cable out of a node's NIC: its carrier is lost.
func (l *Lab) Unplug(n topology.Node, side Side) error {
	return l.kind.link(n, side, false)
}

// Plug puts it in again.
func (l *Lab) Plug(n topology.Node, side Side) error {
	return l.kind.link(n, side, true)
}

// UnplugServer takes the cable out of a server: to everybody else it is dead.
func (l *Lab) UnplugServer(s topology.Server) error { return netns.Down(topology.FabricName, s.ID) }

// PlugServer puts it in again.
func (l *Lab) PlugServer(s topology.Server) error { return netns.Up(topology.FabricName, s.ID) }

// Isolate has the switch of one LAN drop what a node sends and is sent, while
// its link stays up; or no longer.
func (l *Lab) Isolate(n topology.Node, side Side, on bool) error {
	return netns.Block(topology.FabricName, n.ID+"-"+string(side), on)
}

// Explain is what nodes, server and both kernels know of a connection.
func (l *Lab) Explain(client, vip netip.AddrPort) string {
	var out strings.Builder
	trace, err := exec.Command(filepath.Join(l.Bin, "weirctl"), "--lab", "trace", "--client", client.String(), "--vip", vip.String()).CombinedOutput()
	fmt.Fprintf(&out, "%s", trace)
	if err != nil {
		fmt.Fprintf(&out, "(%v)\n", err)
	}
	spaces := []string{topology.ClientName}
	for _, s := range l.Top.Servers {
		spaces = append(spaces, s.Namespace)
	}
	for _, space := range spaces {
		sockets, err := exec.Command("ip", "netns", "exec", space, "ss", "-tinoH", "( sport = :"+strconv.Itoa(int(client.Port()))+" or dport = :"+strconv.Itoa(int(client.Port()))+" )").CombinedOutput()
		if len(sockets) > 0 || err != nil {
			fmt.Fprintf(&out, "%s: %s", space, sockets)
		}
	}
	return out.String()
}

// Weirctl runs the command-line tool on this lab.
func (l *Lab) Weirctl(args ...string) error {
	cmd := exec.Command(filepath.Join(l.Bin, "weirctl"), append([]string{"--lab"}, args...)...)
	cmd.Dir = filepath.Dir(filepath.Dir(l.Bin))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("weirctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
