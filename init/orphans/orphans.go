// Package orphans reaps what init inherits: processes whose parent is gone.
//
// Waiting for any child would also take the exit status of those that other
// goroutines wait for, such as commands of os/exec. But the kernel keeps apart
// whose child a process is: one that a goroutine starts belongs to the thread
// that it ran on, and orphans are given to the first thread of the process
// (find_new_reaper in kernel/exit.c). That thread starts nothing here and waits
// for its own children only (__WNOTHREAD).
package orphans

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// init keeps the main goroutine on the first thread, and all others away from it.
func init() { runtime.LockOSThread() }

// Reap reaps orphans for good. Only the main goroutine may call it, and may
// have started no process.
func Reap() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		reapAll()
		<-ended
	}
}

func reapAll() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG|unix.WNOTHREAD, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}
