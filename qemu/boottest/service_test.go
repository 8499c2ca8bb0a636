package boottest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serving is a node that serves, logged in at its console.
func serving(t *testing.T) (*node, *frr) {
	t.Helper()
	r := startRouter(t)
	n := switchOn(t, machine(t, stateDisk(t, good(t, r.port).files())))
	n.serves(r)
	n.login()
	return n, r
}

func TestADataplaneThatIsKilledTenTimesBacksOffAndComesBack(t *testing.T) {
	n, r := serving(t)
	backedOff := false
	for i := range 10 {
		n.kill("dataplane", "KILL")
		// Dead at once to the router, whatever is done about it (S-85).
		r.withdrawn(10 * time.Second)
		eventually(t, 3*time.Minute, func() error {
			switch s := n.service("dataplane"); s.state {
			case "backing off":
				if !backedOff {
					n.says("the status", n.ask("status"), "dataplane ended, last signal: killed; started again in|see: logs dataplane")
				}
				backedOff = true
				return fmt.Errorf("the dataplane is %s", s.line)
			case "ready":
				if got, _ := strconv.Atoi(s.restarts); got != i+1 {
					return fmt.Errorf("%s restarts after %d kills", s.restarts, i+1)
				}
				return nil
			default:
				return fmt.Errorf("the dataplane is %q", s.line)
			}
		})
	}
	if !backedOff {
		t.Error("ten deaths in a row and no back-off")
	}
	n.serves(r)
	n.says("the list of services", n.ask("services"), "signal: killed")
}

func TestAHungDataplaneIsEndedByTheWatchdogAndComesBack(t *testing.T) {
	n, r := serving(t)
	n.kill("dataplane", "STOP")
	r.withdrawn(time.Minute)
	n.eventuallySays("services", "watchdog", time.Minute)
	n.serves(r)
	if s := n.service("dataplane"); s.restarts != "1" || !strings.Contains(s.line, "watchdog") {
		t.Errorf("the dataplane is %q", s.line)
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
