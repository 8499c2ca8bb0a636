package simulation

import (
	"os"
	"runtime"
	"testing"
)

// TestMain leaves Go one processor: a run does one thing at a time anyway, and
// handing over to a stack's goroutine is then a matter of nanoseconds.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}
