// Command console is the operator's way to a node on its serial port and its
// first virtual console, when the network may not be there (S-103): a status
// page, and a prompt. init runs one per terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"weir/services/console/facts"
	"weir/services/console/terminal"
	"weir/services/version"
)

const about = `Status, logs, network checks and control of this node, on a terminal.

Usage:
  console [--terminal DEVICE]

Examples:
  console --terminal /dev/ttyS0    # as init runs it
  console                          # on this terminal
  echo status | console            # one command

Flags:
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	flags := flag.NewFlagSet("console", flag.ContinueOnError)
	device := flags.String("terminal", "", "`DEVICE` to use instead of standard input and output")
	runDir := flags.String("run-dir", "/run/weir", "`DIR` with the node's sockets and its node.yaml")
	show := flags.Bool("version", false, "print the version and exit")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), about)
		flags.PrintDefaults()
		fmt.Fprint(flags.Output(), "\nExit codes: 0 the terminal is gone or the input ended, 1 failed, 2 bad arguments.\n")
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "console: unexpected argument %q; see console --help\n", flags.Arg(0))
		return 2
	case *show:
		fmt.Println(version.Version)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	if err := serve(ctx, *device, *runDir); err != nil {
		fmt.Fprintf(os.Stderr, "console: %v\n", err)
		return 1
	}
	return 0
}

// serve uses one terminal until it is gone.
func serve(ctx context.Context, device, runDir string) error {
	var t *terminal.Terminal
	var err error
	if device == "" {
		t, err = terminal.New(os.Stdin, os.Stdout)
	} else {
		t, err = terminal.Open(device)
	}
	if err != nil {
		return err
	}
	defer t.Close()
	asker, err := facts.New(runDir, "/")
	if err != nil {
		return err
	}
	defer asker.Close()
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return newSession(t, asker).run(ctx)
}
