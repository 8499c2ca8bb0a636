package program

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// monitorSlack is by how much the kernel may wake Go's monitor thread late. That
// thread wakes every 20 µs for as long as any thread is in a system call, and
// the threads that wait for packets always are: without this, an idle node
// spends more on the monitor than on everything else. What it is for, preempting
// goroutines that ran for 10 ms, bears the delay.
const monitorSlack = 5 * time.Millisecond

// calmMonitor lets Go's monitor thread sleep for longer. It is called first
// thing: the runtime starts that thread before any other, and the kernel lists
// threads in the order of their age.
func calmMonitor(proc string) error {
	// Not os.ReadDir, which sorts.
	dir, err := os.Open(proc + "/self/task")
	if err != nil {
		return fmt.Errorf("find the runtime's monitor thread: %w", err)
	}
	defer dir.Close()
	threads, err := dir.Readdirnames(2)
	if err != nil || len(threads) < 2 {
		return fmt.Errorf("find the runtime's monitor thread among %v: %w", threads, err)
	}
	slack := strconv.FormatInt(monitorSlack.Nanoseconds(), 10)
	if err := os.WriteFile(proc+"/"+threads[1]+"/timerslack_ns", []byte(slack), 0); err != nil {
		return fmt.Errorf("calm the runtime's monitor thread: %w", err)
	}
	return nil
}
