// Command weir-lab starts, shows and removes the lab.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"weir/qemu/chaos"
	"weir/qemu/lab"
	"weir/qemu/rolling"
	"weir/qemu/topology"
	"weir/services/version"
)

const usage = `usage: weir-lab [-qemu] COMMAND

  up       start the lab and wait until it serves
  down     remove it
  status   show its machines and programs
  load SERVER PERCENT
           keep a server's CPU at a share of its quota until interrupted
  console NODE
           talk to the serial console of a node that is a QEMU machine
  run      start it, send real client traffic, print who carried what, remove it
  pxe      start it with two nodes; an empty machine becomes the third one over the
           network, with each firmware and kind of DHCP; print how; remove it
  upgrade  start it with nodes that boot from disks, take them to a new version and back
           while connections are held open and made, print the time of each, remove it
  chaos    start it, disturb it in every way while connections are held open through
           it, print what they noticed, remove it; -duration, -seed
  version

LB_NODES (default 3) and SERVERS (default 4) set its size. Needs root.
`

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	flags := flag.NewFlagSet("weir-lab", flag.ContinueOnError)
	qemu := flags.Bool("qemu", false, "up, run: LB nodes are QEMU machines that boot the image")
	plain := flags.Bool("plain", false, "up: leave our own programs out, to look at router, links and servers")
	duration := flags.Duration("duration", 5*time.Minute, "chaos: how long events begin")
	seed := flags.Uint64("seed", uint64(time.Now().UnixNano()), "chaos: decides the order of events")
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 || flags.NArg() != 1+arguments[flags.Arg(0)] {
		flags.Usage()
		return 2
	}
	if flags.Arg(0) == "version" {
		fmt.Println(version.Version)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := do(ctx, flags.Args(), options{*qemu, *plain, *duration, *seed}); err != nil {
		fmt.Fprintf(os.Stderr, "weir-lab: %v\n", err)
		return 1
	}
	return 0
}

// arguments is how many a command takes, if any.
var arguments = map[string]int{"load": 2, "console": 1}

// options are the flags of single commands.
type options struct {
	qemu     bool
	plain    bool
	duration time.Duration
	seed     uint64
}

func do(ctx context.Context, args []string, o options) error {
	top, err := topology.FromEnv()
	if err != nil {
		return err
	}
	build, err := lab.BuildDir()
	if err != nil {
		return err
	}
	l := lab.New(top, build)
	if args[0] == "pxe" {
		if top, err = topology.New(2, 2); err != nil {
			return err
		}
		l = lab.NewEmpty(top, build)
	}
	if o.qemu {
		l = lab.NewQEMU(top, build)
	}
	if args[0] == "upgrade" {
		l = lab.NewSlotted(top, build)
	}
	l.Plain = o.plain
	l.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	switch args[0] {
	case "up":
		return l.Up(ctx)
	case "down":
		return l.Down()
	case "status":
		return l.Status(os.Stdout)
	case "run":
		return l.Run(ctx, os.Stdout)
	case "pxe":
		return l.RunEmpty(ctx, os.Stdout, lab.EmptyCases()...)
	case "upgrade":
		return rolling.Run(ctx, l, os.Stdout)
	case "chaos":
		return disturb(ctx, l, o)
	case "load":
		return load(ctx, top, args[1], args[2])
	case "console":
		return console(ctx, l, args[1])
	}
	return fmt.Errorf("unknown command %q: use up, down, status, load, console, run, pxe, upgrade or chaos", args[0])
}

func disturb(ctx context.Context, l *lab.Lab, o options) (err error) {
	fmt.Fprintf(os.Stderr, "replay with SEED=%d\n", o.seed)
	if err := l.Up(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	return chaos.Run(ctx, l, os.Stdout, o.duration, o.seed)
}

func load(ctx context.Context, top *topology.Topology, server, share string) error {
	percent, err := strconv.ParseFloat(share, 64)
	if err != nil || percent <= 0 {
		return fmt.Errorf("%q is no percentage of the quota", share)
	}
	for _, s := range top.Servers {
		if s.ID == server {
			return lab.Load(ctx, s, percent)
		}
	}
	return fmt.Errorf("the lab has no server %q", server)
}
