// Command init is PID 1 of an LB node: it brings the machine up in named phases
// and then keeps the services running (S-101).
package main

import (
	"fmt"
	"os"

	"weir/init/orphans"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init is the first process of an LB node's image and cannot be run by hand")
		os.Exit(2)
	}
	// Commands of the image, for what init runs and what operators type.
	os.Setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin:/bbin")
	n := newNode()
	n.end.Go(func() { n.end.Do(n.steps) })
	n.end.Go(n.boot)
	orphans.Reap()
}
