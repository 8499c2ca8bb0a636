package boottest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// One machine serves for all of what an operator sees of a node that works, and
// does to it.
func TestANodeThatServes(t *testing.T) {
	n, r := serving(t)
	for _, part := range []struct {
		name string
		test func(*node, *frr)
	}{
		{"every command of the console answers on the serial line", everyCommand},
		{"the network checks name the cause when the north link is down", northLinkDown},
		{"a hung dataplane is ended by the watchdog and comes back", hungDataplane},
		{"a dataplane that is killed ten times backs off and comes back", dataplaneKilled},
		{"it reboots and switches off when it is told to", rebootAndPowerOff},
	} {
		t.Run(part.name, func(t *testing.T) {
			n, r := *n, *r
			n.t, r.t = t, t
			part.test(&n, &r)
		})
	}
}

// serving is a node that serves, logged in at its console.
func serving(t *testing.T) (*node, *frr) {
	t.Helper()
	r := startRouter(t)
	n := switchOn(t, machine(t, stateDisk(t, good(t, r.port).files())))
	n.serves(r)
	n.login()
	return n, r
}

func dataplaneKilled(n *node, r *frr) {
	n.login()
	before, _ := strconv.Atoi(n.service("dataplane").restarts)
	told := false
	for i := range 10 {
		n.kill("dataplane", "KILL")
		if i >= 6 { // by now it stays away for longer than the hold time
			r.withdrawn(patience)
		}
		eventually(n.t, 3*time.Minute, func() error {
			s := n.service("dataplane")
			if s.state == "backing off" && !told {
				text := oneLine(n.ask("status"))
				told = strings.Contains(text, "dataplane ended, last signal: killed; started again in") && strings.Contains(text, "see: logs dataplane")
			}
			if got, _ := strconv.Atoi(s.restarts); s.state != "ready" || got != before+i+1 {
				return fmt.Errorf("after %d kills the dataplane is %q", i+1, s.line)
			}
			return nil
		})
	}
	if !told {
		n.t.Error("ten deaths in a row, and the console never told of a back-off")
	}
	n.serves(r)
	n.eventuallySays("services", "signal: killed", patience)
}

func hungDataplane(n *node, r *frr) {
	n.login()
	before, _ := strconv.Atoi(n.service("dataplane").restarts)
	n.kill("dataplane", "STOP")
	r.withdrawn(time.Minute)
	n.eventuallySays("services", "watchdog", time.Minute)
	n.serves(r)
	if after, _ := strconv.Atoi(n.service("dataplane").restarts); after != before+1 {
		n.t.Errorf("%d restarts, there were %d before", after, before)
	}
}

// kill sends a signal to a service, as its process stands in the list.
func (n *node) kill(name, signal string) {
	n.t.Helper()
	for _, line := range strings.Split(n.ask("services"), "\n") {
		if f := columns.Split(strings.TrimSpace(line), -1); len(f) >= 5 && f[0] == name {
			n.shell("kill -SIG" + signal + " " + f[3])
			return
		}
	}
	n.t.Fatalf("the console tells of no service %s", name)
}
