// Package supervisor runs the services of a node and keeps them running (S-101):
// each starts when what it needs is there, says by itself when it is ready
// (sd_notify(3)), is started again with growing delays when it ends, and is
// killed when it falls silent. Each has a cgroup, so nothing of it outlives it.
//
//	          conditions met            READY=1
//	waiting ------------------> starting -------> ready
//	   ^                            |               |
//	   | delay over           ended, silent, too late
//	   |                            v               v
//	   +--------------------- backing off <---------+
//
// A stop that was asked for leads from everywhere through stopping to stopped.
package supervisor

import "time"

// Spec describes a service. The supervisor starts the services in the order of
// its table and stops them in the reverse order.
type Spec struct {
	Name    string
	Command []string // path and arguments
	Env     []string // beside PATH and HOME
	Needs   []string // conditions that must hold before its first start: phases of the boot
	After   []string // services that must be ready before it starts; they may end later

	Notify   bool          // says READY=1; without it a service is ready once it runs
	Start    time.Duration // it is killed if it is not ready by then
	Watchdog time.Duration // it is killed if it says no WATCHDOG=1 for so long once it is ready; 0: never
	Stop     time.Duration // between SIGTERM and SIGKILL

	Weight int  // its share of the processors when they do not suffice (cgroup cpu.weight); 0: 100
	OOM    int  // oom_score_adj: -1000 is never killed for memory, 1000 first
	Cores  bool // may use the cores that are kept from all others, see Reserve
}

// State of a service, in the words of the API.
type State string

const (
	Waiting    State = "waiting" // for conditions or services
	Starting   State = "starting"
	Ready      State = "ready"
	Stopping   State = "stopping"
	Stopped    State = "stopped" // because that was asked for
	BackingOff State = "backing off"
)

// Status is how a service stands.
type Status struct {
	Name      string
	State     State
	PID       int           // 0: it does not run
	Restarts  int           // since boot, not counting those that were asked for
	For       time.Duration // in this state
	Says      string        // STATUS= of sd_notify
	LastEnd   string        // how its last life ended; empty: this is its first
	NextStart time.Duration // from now, while it backs off
	WaitsFor  string        // while it waits
	CPU       time.Duration // used by this and its former lives
	Memory    uint64        // bytes, now
}

// Delays between the end of a service and its next start: the first, doubled
// each time, up to the last. A service that was ready for the stable time
// begins with the first again.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 30 * time.Second
	stable     = time.Minute
)

// delay before the next start after so many ends in a row.
func delay(row int) time.Duration {
	d := firstDelay
	for i := 1; i < row && d < lastDelay; i++ {
		d *= 2
	}
	return min(d, lastDelay)
}
