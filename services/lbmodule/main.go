// Command lbmodule is the LB module of a server: its agent decides on new
// connections and drives the kernel's handshakes; its eBPF programs translate,
// decapsulate and encapsulate every packet of the accepted ones.
package main

import "weir/services/program"

func main() {
	var asked enrolment
	program.Main(program.Daemon{Name: "lbmodule", Config: "/etc/weir/lbmodule.yaml", Run: run,
		About: "LB module of a server: takes or rejects connections, and carries their packets in the\n" +
			"kernel. The data path outlives the agent, so restarting it disturbs no connection.",
		Commands: []program.Command{
			{Name: "check", Run: check, About: "tell whether it could start with this configuration"},
			{Name: "enroll", Run: asked.enroll, Flags: asked.flags, Example: "--provision 10.40.0.1 --authority 8f1c…",
				About: "make this server's key, wait for its approval, and get its certificate"},
			{Name: "uninstall", Run: uninstall, About: "remove everything from the kernel, connections included"}}})
}
