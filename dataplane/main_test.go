package main

import (
	"os"
	"testing"

	"weir/qemu/netns/nstest"
)

// TestMain runs the tests in a network namespace of their own, and stands in
// for the program where a test starts one.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_DATAPLANE_RUN") != "" {
		main()
		os.Exit(0)
	}
	nstest.Pair(m, nil)
}
