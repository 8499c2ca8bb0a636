// Package pxetest has empty machines become nodes of a running cluster: booted over
// the network by unmodified firmware, approved by an operator (S-105).
package pxetest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"weir/qemu/lab"
	"weir/qemu/topology"
	"weir/qemu/vm"
)

// up starts a lab with two nodes that are native, for the test's time.
func up(t *testing.T) (*lab.Lab, context.Context) {
	t.Helper()
	top, err := topology.New(2, 2)
	must(t, err)
	build, err := lab.BuildDir()
	must(t, err)
	l := lab.NewEmpty(top, build)
	l.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	must(t, l.Up(ctx))
	t.Cleanup(func() { must(t, l.Down()) })
	return l, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// joins has an empty machine become the third node.
func joins(t *testing.T, l *lab.Lab, ctx context.Context, firmware, dhcp string) {
	t.Helper()
	b, err := l.BootEmpty(ctx, firmware, dhcp)
	must(t, err)
	if err := lab.PrintEmpty(os.Stderr, []*lab.EmptyBoot{b}); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyMachineBootsOverTheNetworkIsApprovedAndJoins(t *testing.T) {
	l, ctx := up(t)
	joins(t, l, ctx, vm.NetworkBIOS, lab.BesideForeign)
}

func TestLongEveryFirmwareMakesANodeOfAnEmptyMachine(t *testing.T) {
	l, ctx := up(t)
	for _, c := range lab.EmptyCases() {
		t.Run(c[0]+", "+c[1], func(t *testing.T) {
			joins(t, l, ctx, c[0], c[1])
			must(t, l.RemoveEmpty(ctx))
		})
	}
}

func TestLongANodeBootsWithoutProvisiondAndARevokedOneIsToldSo(t *testing.T) {
	l, ctx := up(t)
	joins(t, l, ctx, vm.NetworkBIOS, lab.Alone)
	n := l.Top.Nodes[len(l.Top.Nodes)-1]
	must(t, l.WithoutProvisiond(ctx, n))
	must(t, l.Revoked(ctx, n))
	if err := l.Announced(n.ID); err != nil {
		t.Errorf("the revoked machine is announced, or the others are not: %v", err)
	}
}
