package orphans

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The main goroutine reaps, as in init; the tests run on others.
func TestMain(m *testing.M) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	go func() { os.Exit(m.Run()) }()
	Reap()
}

func TestOrphansAreReapedAndOwnChildrenAreNot(t *testing.T) {
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			// The shell ends at once with its own status and leaves an orphan.
			out, err := exec.Command("sh", "-c", "sleep 0.05 >&- & echo $!; exit "+strconv.Itoa(i+1)).Output()
			if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != i+1 {
				t.Errorf("the status of a child of ours was lost: %v", err)
			}
			pid := strings.TrimSpace(string(out))
			for end := time.Now().Add(20 * time.Second); ; {
				if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
					return
				}
				if time.Now().After(end) {
					stat, _ := os.ReadFile("/proc/" + pid + "/stat")
					t.Errorf("not reaped: %s", stat)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wait.Wait()
}
