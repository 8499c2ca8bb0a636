// Command weir-lab starts, shows and removes the namespace lab.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"weir/qemu/lab"
	"weir/qemu/topology"
	"weir/services/version"
)

const usage = `usage: weir-lab COMMAND

  up       start the lab and wait until it serves
  down     remove it
  status   show its machines and programs
  load SERVER PERCENT
           keep a server's CPU at a share of its quota until interrupted
  run      start it, send real client traffic, print who carried what, remove it
  version

LB_NODES (default 3) and SERVERS (default 4) set its size. Needs root.
`

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	flags := flag.NewFlagSet("weir-lab", flag.ContinueOnError)
	plain := flags.Bool("plain", false, "up: leave our own programs out, to look at router, links and servers")
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 || (flags.NArg() != 1) != (flags.Arg(0) == "load") {
		flags.Usage()
		return 2
	}
	if flags.Arg(0) == "version" {
		fmt.Println(version.Version)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := do(ctx, flags.Args(), *plain); err != nil {
		fmt.Fprintf(os.Stderr, "weir-lab: %v\n", err)
		return 1
	}
	return 0
}

func do(ctx context.Context, args []string, plain bool) error {
	top, err := topology.FromEnv()
	if err != nil {
		return err
	}
	build, err := lab.BuildDir()
	if err != nil {
		return err
	}
	l := lab.New(top, build)
	l.Plain = plain
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
	case "load":
		return load(ctx, top, args[1:])
	}
	return fmt.Errorf("unknown command %q: use up, down, status, load or run", args[0])
}

func load(ctx context.Context, top *topology.Topology, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("load needs a server and a percentage, like: load srv1 95")
	}
	percent, err := strconv.ParseFloat(args[1], 64)
	if err != nil || percent <= 0 {
		return fmt.Errorf("%q is no percentage of the quota", args[1])
	}
	for _, s := range top.Servers {
		if s.ID == args[0] {
			return lab.Load(ctx, s, percent)
		}
	}
	return fmt.Errorf("the lab has no server %q", args[0])
}
