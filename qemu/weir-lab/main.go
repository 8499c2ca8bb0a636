// Command weir-lab starts, shows and removes the namespace lab.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"weir/qemu/lab"
	"weir/qemu/topology"
)

// version is set when linking.
var version = "unknown"

const usage = `usage: weir-lab COMMAND

  up       start the lab and wait until it serves
  down     remove it
  status   show its machines and programs
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
	if flags.NArg() != 1 {
		flags.Usage()
		return 2
	}
	if flags.Arg(0) == "version" {
		fmt.Println(version)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := do(ctx, flags.Arg(0), *plain); err != nil {
		fmt.Fprintf(os.Stderr, "weir-lab: %v\n", err)
		return 1
	}
	return 0
}

func do(ctx context.Context, command string, plain bool) error {
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
	switch command {
	case "up":
		return l.Up(ctx)
	case "down":
		return l.Down()
	case "status":
		return l.Status(os.Stdout)
	case "run":
		return l.Run(ctx, os.Stdout)
	}
	return fmt.Errorf("unknown command %q: use up, down, status or run", command)
}
