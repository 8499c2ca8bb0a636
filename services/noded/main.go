// Command noded is the control plane of an LB node: it hands the desired state
// to the dataplane, holds the BGP sessions for its neighbours, and answers
// weirctl and Prometheus. Restarting it does not disturb forwarding.
package main

import (
	"runtime"

	"weir/services/program"
)

func main() {
	// The thread of membership has its own priority; it must not wait for a place
	// to run until a thread without one, which the kernel has put aside, gives way.
	runtime.GOMAXPROCS(max(8, runtime.NumCPU()))
	program.Main(program.Daemon{Name: "noded", Config: "/etc/weir/node.yaml", Run: run,
		About: "Control plane of an LB node: desired state of the dataplane, BGP sessions for the\n" +
			"neighbours, status and metrics. Restarting it does not disturb forwarding."})
}
