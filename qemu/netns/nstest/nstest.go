// Package nstest gives tests that change the network one of their own: the test
// binary runs itself again in fresh namespaces, which go away with it.
package nstest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/qemu/netns"
)

// inside marks the process that runs in the namespace, and names that.
const inside = "WEIR_TEST_NAMESPACE"

// Home is the namespace that the tests of Pair run in, Away the one for the
// other ends of their cables.
var (
	Home = os.Getenv(inside)
	Away = Home + "-away"
)

// Pair is a TestMain in two named namespaces. Prepare is called inside, before the
// tests; nil: nothing is prepared.
func Pair(m *testing.M, prepare func() error) {
	if Home == "" {
		os.Exit(pair(fmt.Sprintf("weirt-%d", os.Getpid())))
	}
	tests(m, prepare)
}

func pair(name string) int {
	for _, ns := range []string{name, name + "-away"} {
		if err := netns.Add(ns); err != nil {
			fmt.Fprintln(os.Stderr, "these tests need root:", err)
			return 1
		}
		defer netns.Delete(ns)
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), inside+"="+name)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := netns.Start(name, c)
	if err == nil {
		err = c.Wait()
	}
	return verdict(err)
}

// Single is a TestMain in one namespace without a name. The commands are arguments
// of ip(8), to build its network.
func Single(m *testing.M, commands ...string) {
	if Home == "" {
		c := exec.Command("/proc/self/exe", os.Args[1:]...)
		c.Env = append(os.Environ(), inside+"=unnamed")
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		os.Exit(verdict(c.Run()))
	}
	tests(m, func() error {
		for _, args := range commands {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		return nil
	})
}

func tests(m *testing.M, prepare func() error) {
	if prepare != nil {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func verdict(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "in a namespace of their own (which needs root and what make deps installs):", err)
		return 1
	}
	return 0
}

// Must fails the test on an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually polls a condition, for a minute.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute not: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
