// Command noded is the control plane of an LB node: it hands the desired state
// to the dataplane, holds the BGP sessions for its neighbours, and answers
// weirctl and Prometheus. Restarting it does not disturb forwarding.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"weir/services/config"
	"weir/services/version"
)

// Exit codes.
const (
	exitFailed = 1 // something that it needs is not there
	exitUsage  = 2 // bad arguments or configuration
)

func main() {
	flags := flag.NewFlagSet("noded", flag.ContinueOnError)
	file := flags.String("config", "/etc/weir/node.yaml", "node configuration `FILE`")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		if err == nil {
			fmt.Fprintf(os.Stderr, "noded: unexpected argument %q; see noded -help\n", flags.Arg(0))
		}
		os.Exit(exitUsage)
	}
	if *show {
		fmt.Println(version.Version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(ctx, log, *file); err != nil {
		fmt.Fprintln(os.Stderr, "noded:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// exitCode tells bad configuration from a machine that lacks something.
func exitCode(err error) int {
	var bad config.Errors
	if errors.As(err, &bad) || errors.Is(err, errConfig) {
		return exitUsage
	}
	return exitFailed
}
