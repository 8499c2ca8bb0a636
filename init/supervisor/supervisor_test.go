package supervisor

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/init/cpus"
)

func TestServicesStartWhenTheirConditionsAndServicesAreThere(t *testing.T) {
	r := newRig(t, true,
		Spec{Name: "dataplane", Command: []string{"steady"}, Needs: []string{"nics"}},
		Spec{Name: "noded", Command: []string{"steady"}, After: []string{"dataplane"}})
	if w := r.status("noded").WaitsFor; w != "dataplane" {
		t.Errorf("noded waits for %q", w)
	}
	r.Meet("nics")
	r.is("noded", Ready)
	if s := r.status("dataplane"); s.State != Ready || s.PID == 0 {
		t.Errorf("dataplane: %+v", s)
	}
	r.until("the status is there", func() bool { return r.status("noded").Says == "steady" })
}

func TestAKilledServiceComesBack(t *testing.T) {
	r := newRig(t, true, Spec{Name: "dataplane", Command: []string{"steady"}})
	for i := range 3 {
		r.is("dataplane", Ready)
		syscall.Kill(r.status("dataplane").PID, syscall.SIGKILL)
		r.until("it was started again", func() bool { return r.status("dataplane").Restarts == i+1 })
	}
	r.is("dataplane", Ready)
	if s := r.status("dataplane"); s.LastEnd != "signal: killed" {
		t.Errorf("last end %q", s.LastEnd)
	}
}

func TestAHungServiceIsEndedWithItsGoroutinesOnRecord(t *testing.T) {
	r := newRig(t, true, Spec{Name: "noded", Command: []string{"hang"}, Watchdog: 300 * time.Millisecond})
	r.until("it was started again", func() bool { return r.status("noded").Restarts > 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.HasPrefix(r.crashes[0], "noded: watchdog: silent for 300ms\nSIGABRT: abort") || !strings.Contains(r.crashes[0], "supervisor.forever") {
		t.Errorf("record: %s", r.crashes[0])
	}
}

func TestAStoppedServiceIsHungToo(t *testing.T) {
	r := newRig(t, true, Spec{Name: "noded", Command: []string{"steady"}, Watchdog: 2 * time.Second})
	r.is("noded", Ready)
	syscall.Kill(r.status("noded").PID, syscall.SIGSTOP)
	r.until("it was started again", func() bool { return r.status("noded").Restarts > 0 })
	if s := r.status("noded"); s.LastEnd != "watchdog: silent for 2s" {
		t.Errorf("last end %q", s.LastEnd)
	}
}

func TestAServiceThatPanicsLeavesItsLastWords(t *testing.T) {
	r := newRig(t, true, Spec{Name: "noded", Command: []string{"panic"}})
	r.until("it was started again", func() bool { return r.status("noded").Restarts > 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.HasPrefix(r.crashes[0], "noded: exit status 2\npanic: a slip") {
		t.Errorf("record: %s", r.crashes[0])
	}
}

func TestNothingOfAServiceOutlivesIt(t *testing.T) {
	r := newRig(t, true, Spec{Name: "console", Command: []string{"orphans"}})
	r.is("console", Ready)
	_, left, _ := strings.Cut(r.log("console"), "left ")
	pid, err := strconv.Atoi(strings.TrimSpace(left))
	if err != nil || !running(pid) {
		t.Fatalf("its child %q does not run", left)
	}
	syscall.Kill(r.status("console").PID, syscall.SIGKILL)
	r.until("it was started again", func() bool { return r.status("console").Restarts == 1 })
	if running(pid) {
		t.Errorf("process %d runs still", pid)
	}
}

// running reports whether the process exists and is more than a zombie.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestAStubbornServiceIsKilledWhenItsTimeToStopIsOver(t *testing.T) {
	for _, groups := range []bool{true, false} {
		r := newRig(t, groups, Spec{Name: "noded", Command: []string{"stubborn"}, Stop: 200 * time.Millisecond})
		r.is("noded", Ready)
		if err := r.Control("noded", "stop"); err != nil {
			t.Fatal(err)
		}
		r.is("noded", Stopped)
		if s := r.status("noded"); s.LastEnd != "signal: killed" || s.Restarts != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestOperatorsStopStartAndRestartServices(t *testing.T) {
	r := newRig(t, true, Spec{Name: "noded", Command: []string{"steady"}})
	r.is("noded", Ready)
	first := r.status("noded").PID
	r.Control("noded", "restart")
	r.until("another process is ready", func() bool { s := r.status("noded"); return s.State == Ready && s.PID != first })
	r.Control("noded", "stop")
	r.is("noded", Stopped)
	r.Control("noded", "start")
	r.is("noded", Ready)
	if s := r.status("noded"); s.Restarts != 0 {
		t.Errorf("counted as restarts: %+v", s)
	}
	for _, wrong := range [][2]string{{"nodee", "stop"}, {"noded", "halt"}} {
		if err := r.Control(wrong[0], wrong[1]); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

func TestServicesStopInReverseOrder(t *testing.T) {
	r := newRig(t, true,
		Spec{Name: "dataplane", Command: []string{"steady"}},
		Spec{Name: "noded", Command: []string{"stubborn"}, Stop: time.Second})
	r.is("dataplane", Ready)
	r.is("noded", Ready)
	stopped := make(chan []string)
	go func() { stopped <- r.StopAll(context.Background()) }()
	r.is("noded", Stopping)
	for s := r.Status(); s[1].State != Stopped; s = r.Status() {
		if s[0].State != Ready {
			t.Fatalf("dataplane is %s while noded runs", s[0].State)
		}
	}
	if left := <-stopped; left != nil {
		t.Errorf("left %q", left)
	}
	if err := r.Control("noded", "start"); err == nil {
		t.Error("a service can be started during the end")
	}
}

func TestAStrangersMessageIsIgnored(t *testing.T) {
	r := newRig(t, true, Spec{Name: "noded", Command: []string{"mute"}})
	r.is("noded", Starting)
	self, _ := os.Executable()
	c := exec.Command(self)
	c.Env = []string{"WEIR_AS=stranger", "NOTIFY_SOCKET=" + r.Notify}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.until("it was noticed", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Contains(strings.Join(r.told, "\n"), "which is of no service")
	})
	r.is("noded", Starting)
}

func TestAServicesUseOfTheMachineIsKnown(t *testing.T) {
	r := newRig(t, true, Spec{Name: "busy", Command: []string{"/bin/sh", "-c", "while :; do :; done"}})
	r.until("it used a tenth of a second", func() bool { return r.status("busy").CPU > 100*time.Millisecond })
}

func TestTheLoopFeedsTheHardwareWatchdogWhileItTurns(t *testing.T) {
	r := newRig(t, false)
	fed := make(chan struct{}, 100)
	r.Pet(func() { fed <- struct{}{} })
	<-fed
	<-fed
	r.Supervisor.mu.Lock() // hangs the loop
	defer r.Supervisor.mu.Unlock()
	for len(fed) > 0 {
		<-fed
	}
	select {
	case <-fed:
		t.Error("fed while it hangs")
	case <-time.After(3 * tick / 2):
	}
}

func TestTheReservedCoresAreKeptFromInitItself(t *testing.T) {
	var s Supervisor
	if err := s.Reserve(cpus.Of(0, 1)); err == nil {
		t.Error("cores are kept free without cgroups")
	}
	s.Groups = Groups(t.TempDir())
	if err := os.Mkdir(s.Groups.own().dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve(cpus.Of(0, 1)); err != nil || s.Groups.own().read("cpuset.cpus") != "0-1" {
		t.Errorf("init's cores %q: %v", s.Groups.own().read("cpuset.cpus"), err)
	}
}
