// Command weirbench measures the dataplane as it ships: lbnode.Worker.Burst
// between two net_null ports through dataplane/dpdk, and whole handshakes of
// three nodes. It starts the C program of comparison and itself in turns, one
// round each, so that both meet the same machine, and prints medians.
//
// Times are CPU times of the measuring thread, so that other programs on the
// machine disturb as little as possible.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "weirbench:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	flag.StringVar(&o.rtehash, "rtehash", "build/bench/rtehash", "the C program")
	flag.StringVar(&o.testpmd, "testpmd", "dpdk-testpmd", "DPDK's own forwarder")
	flag.StringVar(&o.json, "json", "build/bench.json", "where the results go")
	flag.IntVar(&o.rounds, "rounds", 15, "rounds per figure; the median is reported")
	flag.IntVar(&o.packets, "packets", 1_000_000, "packets per round")
	flag.IntVar(&o.core, "core", -1, "CPU to measure on (default: the last)")
	flag.BoolVar(&o.noHuge, "no-huge", false, "ordinary memory instead of huge pages for DPDK")
	child := flag.String("child", "", "measure one thing, a round per line on standard input: io, ingress, egress or connections")
	flows := flag.Int("flows", 1000, "established flows of a child")
	flag.Parse()
	if flag.NArg() > 0 {
		return errors.New("unexpected argument " + strconv.Quote(flag.Arg(0)))
	}
	if o.core < 0 {
		o.core = lastCPU()
	}
	if *child != "" {
		return measure(*child, *flows, o)
	}
	return compare(o)
}

type options struct {
	rtehash, testpmd, json string
	rounds, packets, core  int
	noHuge                 bool
}
