// Package qemutest accepts the cluster whose LB nodes are machines that boot the
// image: the QEMU lab, what make run tells, and what the documentation says of it.
package qemutest

import (
	"context"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/lab/labmain"
)

// theLab is the lab under test.
var theLab *lab.Lab

func TestMain(m *testing.M) { labmain.Run(m, lab.NewQEMU, &theLab) }

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
