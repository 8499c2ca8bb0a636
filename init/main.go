// Command init is PID 1 of an LB node: it brings the machine up in named phases
// and then keeps the services running (S-101).
package main

import (
	"fmt"
	"os"
	"syscall"

	"weir/init/mounts"
	"weir/init/phase"
)

// The phases of a boot, in their order.
var names = []string{"mounts", "modules", "identity", "state", "clock", "configuration",
	"network", "hugepages", "nics", "kernel", "services"}

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init is the first process of an LB node's image and cannot be run by hand")
		os.Exit(2)
	}
	list := phase.NewList(phase.SinceKernel, tell, names...)
	list.Run("mounts", func() phase.Outcome { return mounts.Machine().Do(mounts.Early) })
	for {
		shell()
	}
}

func tell(line string) { fmt.Fprintln(os.Stdout, line) }

// shell runs one on the console, and reaps whatever ends meanwhile.
func shell() {
	p, err := os.StartProcess("/bbin/gosh", []string{"gosh"}, &os.ProcAttr{
		Env: []string{"PATH=/bin:/bbin:/sbin", "HOME=/"}, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		tell(err.Error())
		select {}
	}
	for {
		var status syscall.WaitStatus
		if pid, err := syscall.Wait4(-1, &status, 0, nil); pid == p.Pid || err == syscall.ECHILD {
			return
		}
	}
}
