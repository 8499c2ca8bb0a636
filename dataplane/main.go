// The C library's resolver is not in a static program, and this one resolves no names:
//
//go:debug netdns=go

// Command dataplane is the packet processor of an LB node: all three roles,
// the flow state, and the exception path to the kernel. It starts knowing only
// its NICs; what to do with packets it learns from noded, over a Unix socket.
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
	flags := flag.NewFlagSet("dataplane", flag.ContinueOnError)
	file := flags.String("config", "/etc/weir/node.yaml", "node configuration `FILE`")
	debug := flags.Bool("debug", false, "log more, DPDK's own lines included")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		if err == nil {
			fmt.Fprintf(os.Stderr, "dataplane: unexpected argument %q; see dataplane -help\n", flags.Arg(0))
		}
		os.Exit(exitUsage)
	}
	if *show {
		fmt.Println(version.Version)
		return
	}
	level := slog.LevelInfo
	if *debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, log, *file); err != nil {
		fmt.Fprintln(os.Stderr, "dataplane:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// exitCode tells bad configuration from a machine that lacks something.
func exitCode(err error) int {
	var bad config.Errors
	if errors.As(err, &bad) {
		return exitUsage
	}
	return exitFailed
}
