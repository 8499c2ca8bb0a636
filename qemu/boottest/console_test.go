package boottest

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// exchange is a command and words of its answer, separated by "|".
type exchange struct{ command, words string }

// exchanges exercise the commands that only show, on a node that serves.
var exchanges = []exchange{
	{"status", "lb1 of boottest|established|dataplane ready|noded ready|read-write"},
	{"phases", "PHASE|mounts|modules|identity|state|clock|configuration|network|hugepages|nics|kernel|services"},
	{"nics", "north|south|control|" + "52:54:00:00:01:01|vfio-pci"},
	{"links", "north|south|up|weir-north|weir-south"},
	{"bgp", "lb1|" + northAddress + "|" + routerAddress + "|established"},
	{"nodes", "lb1|healthy|100"},
	{"servers", "srv1"},
	{"flows", "established|half-open"},
	{"services", "SERVICE|console|dataplane|noded|ready"},
	{"logs", "usage: logs SOURCE [N] [-f]; sources: init, kernel|dataplane|noded"},
	{"logs init", "configuration"},
	{"logs kernel 2000", "Linux version"},
	{"logs noded 3", "["},
	{"logs nobody", `no log of "nobody"`},
	{"crashes", "no crash is recorded"},
	{"config", "node: lb1|cluster_file|(not shown)"},
	{"config source", "disk|/var/lib/weir/cluster.yaml"},
	{"config errors", "no errors"},
	{"help", "needs the password"},
	{"help reboot", "reboot|needs the password"},
	{"upgrades", "version|runs|not booted from a slot of a disk"},
	{"restart nobody", `no service "nobody"`},
	{"sttaus", `unknown command "sttaus"; help lists them`},
	{"check", "router " + routerAddress},
}

func everyCommand(n *node, _ *frr) {
	used := map[string]bool{}
	for _, e := range exchanges {
		used[strings.Fields(e.command)[0]] = true
		n.eventuallySays(e.command, e.words, patience)
	}
	if strings.Contains(n.ask("config"), "$2a$") {
		n.t.Error("the configuration is shown with the hash of the password")
	}

	used["logs"] = true
	n.follows("logs noded -f")
	n.follows("watch")

	used["login"], used["logout"] = true, true
	if err := n.Send("logout\r"); err != nil { // to the status page
		n.t.Fatal(err)
	}
	n.toPrompt(patience)
	n.refusesWithoutPassword("restart noded")
	n.login()
	n.ask("restart noded")
	n.eventuallySays("services", "noded ready", time.Minute)

	// A machine that its test boots has no slots; those with slots have tests of their own.
	used["upgrade"], used["rollback"] = true, true
	n.confirm("upgrade", "booted")
	n.confirm("rollback", "booted")

	used["shell"] = true
	n.says("the shell", n.shell("cat /proc/1/comm"), "init")

	used["capture"] = true
	n.says("the capture", n.ask("capture north -c 5"), routerAddress+"|5 packets|.pcapng")

	used["watch"], used["reboot"], used["poweroff"] = true, true, true
	for _, line := range strings.Split(n.ask("help"), "\n") {
		if m := helpLine.FindStringSubmatch(line); m != nil && !used[m[1]] {
			n.t.Errorf("the command %q is not exercised", m[1])
		}
	}
}

func rebootAndPowerOff(n *node, r *frr) {
	n.reboots()
	n.fine(bootPatience, phases...)
	n.serves(r)
	n.switchOff()
	r.withdrawn(patience)
}

var helpLine = regexp.MustCompile(`^([a-z]+)(?: \S+)* {2,}\S`)

// follows runs a command that shows something again and again until a key.
func (n *node) follows(command string) {
	n.t.Helper()
	n.toPrompt(patience)
	if err := n.Send(command + "\r"); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.ExpectMatch(patience, regexp.MustCompile(`\S+ \S+`)); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Send("\x03"); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.ExpectMatch(patience, prompt); err != nil {
		n.t.Fatal(err)
	}
}

// refusesWithoutPassword gives a wrong password to a command that changes the node.
func (n *node) refusesWithoutPassword(command string) {
	n.t.Helper()
	if err := n.Send(command + "\r"); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Expect(patience, "Password: "); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Send("in vino falsitas\r"); err != nil {
		n.t.Fatal(err)
	}
	if err := n.Expect(patience, "wrong password"); err != nil {
		n.t.Fatal(err)
	}
}

func northLinkDown(n *node, r *frr) {
	if err := n.Link("north", false); err != nil {
		n.t.Fatal(err)
	}
	r.withdrawn(patience)
	n.eventuallySays("check", "north link|router "+routerAddress+": not reachable: the north link is down|cable", patience)
	n.eventuallySays("status", "no link on the north NIC|check cable, transceiver and switch port", patience)
	if err := n.Link("north", true); err != nil {
		n.t.Fatal(err)
	}
	n.serves(r)
}

func TestTheNetworkChecksNameTheCauseWhenTheRouterRefusesBGP(t *testing.T) {
	n := switchOn(t, machine(t, stateDisk(t, good(t, freePort(t)).files())))
	n.fine(bootPatience, phases...)
	n.eventuallySays("bgp", "refuses connections", patience)
	n.eventuallySays("check", "router "+routerAddress+": answers ARP|the router refuses: nothing listens there; start BGP on the router", patience)
	n.eventuallySays("status", "no BGP session|refuses connections", patience)
}
