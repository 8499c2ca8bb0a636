// Package program is what Weir's long-running programs have in common: their
// command line, their exit codes, their run directory.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"weir/services/config"
	"weir/services/version"
)

// Exit codes of every program.
const (
	ExitFailed = 1 // something that it needs is not there
	ExitUsage  = 2 // bad arguments or configuration
)

// ErrConfig marks configuration that is readable but cannot be put in force
// here; the program ends with ExitUsage.
var ErrConfig = errors.New("bad configuration")

// ConfigError marks an error as one of configuration; its text stays as it is.
func ConfigError(err error) error {
	var bad config.Errors
	if errors.As(err, &bad) {
		return err
	}
	return &configError{err}
}

type configError struct{ error }

func (e *configError) Unwrap() error        { return e.error }
func (e *configError) Is(target error) bool { return target == ErrConfig }

// Daemon is one of them.
type Daemon struct {
	Name   string
	About  string // one paragraph for --help
	Config string // default of --config
	// Run serves until the context ends; it returns nil if that was all.
	Run func(ctx context.Context, log *slog.Logger, file string) error
	// Commands are run instead of Run when the first argument names them.
	Commands []Command
}

// Command is something that a program does once.
type Command struct {
	Name, About string
	Example     string // its arguments in an example; empty: it needs none
	// Flags adds flags that only this command has; nil: none.
	Flags func(*flag.FlagSet)
	Run   func(file string) error
}

// Main runs the program and ends the process.
func Main(p Daemon) { os.Exit(p.main(os.Args[1:])) }

func (p Daemon) main(args []string) int {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	file := flags.String("config", p.Config, "configuration `FILE`")
	debug := flags.Bool("debug", false, "log more")
	show := flags.Bool("version", false, "print the version and exit")
	flags.Usage = func() { p.usage(flags) }
	var once func(string) error
	for _, c := range p.Commands {
		if len(args) > 0 && args[0] == c.Name {
			once, args = c.Run, args[1:]
			if c.Flags != nil {
				c.Flags(flags)
			}
		}
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return ExitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(os.Stderr, "%s: unexpected argument %q; see %s --help\n", p.Name, flags.Arg(0), p.Name)
		return ExitUsage
	case *show:
		fmt.Println(version.Version)
		return 0
	}
	if once == nil {
		once = func(file string) error { return p.serve(file, *debug) }
	}
	if err := once(*file); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return ExitCode(err)
	}
	return 0
}

// serve runs the program until it is told to stop.
func (p Daemon) serve(file string, debug bool) error {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if err := calmMonitor("/proc"); err != nil {
		log.Debug("the program costs more processor time than it need", "error", err)
	}
	return p.Run(ctx, log, file)
}

// ExitCode tells bad configuration from a machine that lacks something.
func ExitCode(err error) int {
	var bad config.Errors
	if errors.As(err, &bad) || errors.Is(err, ErrConfig) {
		return ExitUsage
	}
	return ExitFailed
}

func (p Daemon) usage(flags *flag.FlagSet) {
	out := flags.Output()
	fmt.Fprintf(out, "%s\n\nUsage:\n  %s [--config FILE]\n", p.About, p.Name)
	for _, c := range p.Commands {
		fmt.Fprintf(out, "  %s %s [--config FILE]   %s\n", p.Name, c.Name, c.About)
	}
	fmt.Fprintf(out, "\nExamples:\n  %s\n  %s --config ./%s.yaml --debug\n", p.Name, p.Name, p.Name)
	for _, c := range p.Commands {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %s %s %s", p.Name, c.Name, c.Example), " "))
	}
	fmt.Fprint(out, "\nFlags:\n")
	flags.PrintDefaults()
	fmt.Fprintf(out, "\nExit codes: 0 stopped or done, %d something is missing, %d bad arguments or configuration.\n", ExitFailed, ExitUsage)
}
