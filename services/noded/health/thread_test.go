package health

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The thread waits, as all of Go does, for the garbage collector, whose threads must
// come to run meanwhile: also where all of them share one processor.
func TestTheThreadLetsOthersRunOnASingleProcessor(t *testing.T) {
	if os.Getenv("WEIR_SINGLE_PROCESSOR") == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command("taskset", "-c", "0", self, "-test.run", t.Name())
		c.Env = append(os.Environ(), "WEIR_SINGLE_PROCESSOR=yes", "WEIR_TEST_NAMESPACE=") // and in a namespace of its own
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	runtime.GOMAXPROCS(8) // as noded does
	end := time.Now().Add(5 * time.Second)
	go func() {
		ownThread()
		for time.Now().Before(end) {
			wait(20 * time.Microsecond)
		}
	}()
	for range 4 {
		go func() {
			for time.Now().Before(end) {
				runtime.GC()
			}
		}()
	}
	longest, last := time.Duration(0), time.Now()
	for last.Before(end) {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
		now := time.Now()
		longest, last = max(longest, now.Sub(last)), now
	}
	t.Logf("the longest time in which nobody else ran: %v", longest)
	if longest > 500*time.Millisecond { // a real-time thread has 950 ms of every second
		t.Errorf("nobody else ran for %v", longest)
	}
}
