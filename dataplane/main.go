// The C library's resolver is not in a static program, and this one resolves no names:
//
//go:debug netdns=go

// Command dataplane is the packet processor of an LB node: all three roles,
// the flow state, and the exception path to the kernel. It starts knowing only
// its NICs; what to do with packets it learns from noded, over a Unix socket.
package main

import "weir/services/program"

func main() {
	program.Main(program.Daemon{Name: "dataplane", Config: "/etc/weir/node.yaml", Run: run,
		About: "Packet processor of an LB node, on DPDK. It learns what to do with packets from noded,\n" +
			"over a socket in its run directory."})
}
