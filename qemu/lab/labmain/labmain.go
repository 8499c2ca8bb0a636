// Package labmain is the TestMain of tests that share one lab and run one after
// the other. With WEIR_LAB=keep they use the lab that runs already, or leave
// theirs running, for work on a single test.
package labmain

import (
	"context"
	"fmt"
	"os"
	"testing"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// Run brings a lab up, puts it where the tests find it, runs them, takes it down
// and ends the process.
func Run(m *testing.M, describe func(*topology.Topology, string) *lab.Lab, to **lab.Lab) {
	code, err := withLab(m, describe, to)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withLab(m *testing.M, describe func(*topology.Topology, string) *lab.Lab, to **lab.Lab) (code int, err error) {
	top, err := topology.FromEnv()
	if err != nil {
		return 1, err
	}
	build, err := lab.BuildDir()
	if err != nil {
		return 1, err
	}
	l := describe(top, build)
	*to = l
	l.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	keep := os.Getenv("WEIR_LAB") == "keep"
	if !keep || !l.Running() {
		if err := l.Up(context.Background()); err != nil {
			return 1, fmt.Errorf("start the lab: %w", err)
		}
	}
	if !keep {
		defer func() {
			if e := l.Down(); e != nil {
				code, err = 1, fmt.Errorf("remove the lab: %w", e)
			}
		}()
	}
	return m.Run(), nil
}
