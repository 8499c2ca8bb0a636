package simulation

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
)

var seedsFlag = flag.Uint64("seeds", 10, "how many seeds of ordeals to run")

// ordeal runs the ordeal of a seed and returns the digest of its trace.
func ordeal(seed uint64) (c *Cluster, err error) {
	o := NewOrdeal(seed)
	if c, err = o.Build(seed); err != nil {
		return nil, err
	}
	defer c.Close()
	if *pcapngFlag != "" {
		f, err := os.Create(*pcapngFlag)
		if err != nil {
			return nil, err
		}
		c.Sim.Trace.Capture(f)
		defer func() { err = errors.Join(err, c.Sim.Trace.Err(), f.Close()) }()
	}
	return c, o.Run(c)
}

func TestNoConnectionIsLostInAnyOrdeal(t *testing.T) {
	for seed := uint64(1); seed <= *seedsFlag; seed++ {
		if *seedFlag != 0 {
			seed = *seedFlag
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c, err := ordeal(seed)
			if err != nil {
				for _, l := range c.Sim.Lines() {
					t.Log(l)
				}
				t.Fatal(err)
			}
			t.Logf("%d frames, %v", c.Sim.Trace.Frames(), c.Sim.Elapsed())
		})
		if *seedFlag != 0 {
			break
		}
	}
}
