package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"weir/qemu/netns"
)

// home is the namespace that the tests run in, away the one at the other end
// of the node's two cables.
var (
	home = os.Getenv("WEIR_DATAPLANE_TEST")
	away = home + "-away"
)

// TestMain runs the tests in a network namespace of their own, and stands in
// for the program where a test starts one.
func TestMain(m *testing.M) {
	if os.Getenv("WEIR_DATAPLANE_RUN") != "" {
		main()
		os.Exit(0)
	}
	if home != "" {
		os.Exit(m.Run())
	}
	os.Exit(inNamespace(fmt.Sprintf("dpt-%d", os.Getpid())))
}

func inNamespace(name string) int {
	for _, ns := range []string{name, name + "-away"} {
		if err := netns.Add(ns); err != nil {
			fmt.Fprintln(os.Stderr, "these tests need root:", err)
			return 1
		}
		defer netns.Delete(ns)
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), "WEIR_DATAPLANE_TEST="+name)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	err := netns.Start(name, c)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "in the namespace:", err)
		return 1
	}
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
