// Weir-sim runs the simulation over many seeds: for each seed an ordeal, a whole
// cluster in one process with everything that can fail (S-93). It ends with the
// seeds that broke a rule, and how to replay them (S-94).
//
//	weir-sim -seeds 1000            # seeds 1 to 1000, one process per processor
//	weir-sim -seed 17 -pcapng FILE  # one seed, its log and every packet
//	weir-sim -explore 3             # the exhaustive exploration, up to three faults (S-95)
//
// It needs root, for the module's eBPF object. It ends with status 0 if no rule
// was broken, 1 if one was, 2 if it could not run.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
)

func main() {
	seeds := flag.Uint64("seeds", 100, "how many seeds to run")
	from := flag.Uint64("from", 1, "first seed")
	seed := flag.Uint64("seed", 0, "run only this seed and show what happens")
	pcapng := flag.String("pcapng", "", "with -seed: file for a capture of every frame on every bus")
	jobs := flag.Int("jobs", runtime.NumCPU(), "seeds or scenarios at a time")
	explore := flag.Int("explore", 0, "explore every combination of so many faults instead")
	worker := flag.Bool("worker", false, "take seeds from the standard input (used by weir-sim itself)")
	flag.Parse()
	// A run does one thing at a time, and handing over to a stack's goroutine
	// then is a matter of nanoseconds. Parallel are the processes.
	runtime.GOMAXPROCS(1)
	var broken int
	var err error
	switch {
	case *worker:
		err = work(os.Stdin, os.Stdout)
	case *explore > 0:
		broken, err = exploreAll(*explore, *jobs)
	case *seed != 0:
		broken, err = show(*seed, *pcapng)
	default:
		broken, err = runAll(*from, *seeds, *jobs)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "weir-sim:", err)
		os.Exit(2)
	case broken > 0:
		os.Exit(1)
	}
}
