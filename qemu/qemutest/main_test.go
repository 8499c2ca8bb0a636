// Package qemutest accepts the cluster whose LB nodes are machines that boot the
// image: the QEMU lab, what make run tells, and what the documentation says of it.
//
// The tests share one lab and run one after the other. With WEIR_LAB=keep they
// use the lab that runs already, or leave theirs running.
package qemutest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// theLab is the lab under test.
var theLab *lab.Lab

func TestMain(m *testing.M) {
	code, err := withLab(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withLab(m *testing.M) (code int, err error) {
	top, err := topology.FromEnv()
	if err != nil {
		return 1, err
	}
	build, err := lab.BuildDir()
	if err != nil {
		return 1, err
	}
	theLab = lab.NewQEMU(top, build)
	theLab.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	keep := os.Getenv("WEIR_LAB") == "keep"
	if !keep || !theLab.Running() {
		if err := theLab.Up(context.Background()); err != nil {
			return 1, fmt.Errorf("start the lab: %w", err)
		}
	}
	if !keep {
		defer func() {
			if e := theLab.Down(); e != nil {
				code, err = 1, fmt.Errorf("remove the lab: %w", e)
			}
		}()
	}
	return m.Run(), nil
}

// within is a context that ends with the test or after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until check returns nil, and fails the test with its last
// error when patience runs out.
func eventually(t *testing.T, patience time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
