// Command lbmodule is the LB module of a server: its agent decides on new
// connections and drives the kernel's handshakes; its eBPF programs translate,
// decapsulate and encapsulate every packet of the accepted ones.
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
)

// version is set by the build from the file VERSION.
var version = "0.0.0-dev"

// Exit codes.
const (
	exitFailed = 1 // something that it needs is not there
	exitUsage  = 2 // bad arguments or configuration
)

func main() {
	flags := flag.NewFlagSet("lbmodule", flag.ContinueOnError)
	file := flags.String("config", "/etc/weir/module.yaml", "module configuration `FILE`")
	show := flags.Bool("version", false, "print the version and exit")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: lbmodule [--config FILE]            run the agent; its data path outlives it\n"+
			"       lbmodule uninstall [--config FILE]  remove everything from the kernel, connections included\n")
		flags.PrintDefaults()
	}
	args := os.Args[1:]
	uninstalling := len(args) > 0 && args[0] == "uninstall"
	if uninstalling {
		args = args[1:]
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		if err == nil {
			fmt.Fprintf(os.Stderr, "lbmodule: unexpected argument %q; see lbmodule -help\n", flags.Arg(0))
		}
		os.Exit(exitUsage)
	}
	if *show {
		fmt.Println(version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := error(nil)
	if uninstalling {
		err = uninstall(*file)
	} else {
		err = run(ctx, log, *file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lbmodule:", err)
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
