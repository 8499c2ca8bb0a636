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
	told := false
	for i := range 10 {
		n.kill("dataplane", "KILL")
		if i >= 6 { // by now it stays away for longer than the hold time
			r.withdrawn(patience)
		}
		eventually(t, 3*time.Minute, func() error {
			s := n.service("dataplane")
			if s.state == "backing off" && !told {
				text := oneLine(n.ask("status"))
				told = strings.Contains(text, "dataplane ended, last signal: killed; started again in") && strings.Contains(text, "see: logs dataplane")
			}
			if got, _ := strconv.Atoi(s.restarts); s.state != "ready" || got != i+1 {
				return fmt.Errorf("after %d kills the dataplane is %q", i+1, s.line)
			}
			return nil
		})
	}
	if !told {
		t.Error("ten deaths in a row, and the console never told of a back-off")
	}
	n.serves(r)
	n.eventuallySays("services", "signal: killed", patience)
}

func TestAHungDataplaneIsEndedByTheWatchdogAndComesBack(t *testing.T) {
	n, r := serving(t)
	n.kill("dataplane", "STOP")
	r.withdrawn(time.Minute)
	n.eventuallySays("services", "watchdog", time.Minute)
	n.serves(r)
	if s := n.service("dataplane"); s.restarts != "1" {
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
