package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// fixedSeeds are ordeals that every test runs; freshSeeds are new ones, whose
// numbers a failure names.
const (
	fixedSeeds = 8
	freshSeeds = 4
)

// hard are seeds that broke a rule before.
var hard = []uint64{44, 56, 71, 160, 1082, 5094}

// ordeal runs the ordeal of a seed.
func ordeal(t *testing.T, seed uint64) *Cluster {
	t.Helper()
	o := NewOrdeal(seed)
	c, err := o.Build(seed)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if *pcapngFlag != "" {
		f, err := os.Create(*pcapngFlag)
		if err != nil {
			t.Fatal(err)
		}
		c.Sim.Trace.Capture(f)
		defer func() {
			if err := errors.Join(c.Sim.Trace.Err(), f.Close()); err != nil {
				t.Error(err)
			}
		}()
	}
	if err := o.Run(c); err != nil {
		for _, l := range c.Sim.Lines() {
			t.Log(l)
		}
		t.Fatal(err)
	}
	t.Logf("%v; %d frames", o, c.Sim.Trace.Frames())
	return c
}

func TestNoConnectionIsLostInAnOrdeal(t *testing.T) {
	seeds := hard
	for i := range uint64(fixedSeeds) {
		seeds = append(seeds, i+1)
	}
	for range freshSeeds {
		seeds = append(seeds, 1_000_000+rand.Uint64N(1_000_000_000))
	}
	if testing.Short() {
		seeds = seeds[:fixedSeeds/2]
	}
	if *seedFlag != 0 {
		seeds = []uint64{*seedFlag}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { ordeal(t, seed) })
	}
}

func TestTheSameSeedGivesTheSameOrdealToTheByte(t *testing.T) {
	for _, seed := range []uint64{2, 7} {
		a := ordeal(t, seed).Sim.Trace
		if b := ordeal(t, seed).Sim.Trace; a.Sum() != b.Sum() {
			t.Errorf("seed %d gave two different runs: %s after %d frames, %s after %d", seed, a.Sum(), a.Frames(), b.Sum(), b.Frames())
		}
	}
}
