// Command weir-bundle makes, signs and looks at updates (S-104). It is used by
// those who release; nodes have the other half, package trust.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/services/program"
	"weir/services/version"
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr, time.Now()))
}

// usageError is one of the arguments, not of what they name.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// execute runs one command line at a time and gives its exit code.
func execute(args []string, out, errOut io.Writer, now time.Time) int {
	root := newRoot(now)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	if err == nil {
		return 0
	}
	fmt.Fprintln(errOut, "weir-bundle:", err)
	var usage usageError
	// cobra has no types for the last two.
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag") {
		return program.ExitUsage
	}
	return program.ExitFailed
}

// place is where the repository is, for all commands, and what time it is.
type place struct {
	repository string
	now        time.Time
}

func newRoot(now time.Time) *cobra.Command {
	p := &place{now: now}
	root := &cobra.Command{
		Use:   "weir-bundle",
		Short: "Make, sign and look at updates",
		Long: `Make, sign and look at updates.

Updates come from a repository: metadata that says which releases there are, signed
by several keys, and their files. Changes are staged, signed with one key after the
other, also on machines without network, and published. A bundle is the repository
with one release in one file.

Exit codes: 0 done, 1 failed or refused, 2 bad arguments.`,
		Example: `  weir-bundle release
  weir-bundle inspect build/weir-0.1.0.bundle
  weir-bundle verify build/weir-0.1.0.bundle --root build/keys/root.json
  weir-bundle targets add --image build/image --floor 0.1.0
  weir-bundle sign build/repository/staged/2.targets.json --key /media/key/alice.key
  weir-bundle publish --online-key keys/online.key`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVarP(&p.repository, "repository", "r", "build/repository", "`FOLDER` of the repository")
	root.AddCommand(newKeys(p), newKey(), newRootRole(p), newTargets(p), newSign(), newMerge(), newPublish(p),
		newMake(p), newRelease(p), newStatus(p), newVerify(p), newInspect(), newSecureBoot(p), newVersion())
	return root
}

// takes is cobra's check of the number of arguments, with our exit code. The last
// name may end in "..." for one or more.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		most := len(names)
		if most > 0 && strings.HasSuffix(names[most-1], "...") {
			most = len(args)
		}
		if len(args) >= len(names) && len(args) <= most {
			return nil
		}
		want := strings.Join(names, " ")
		if want == "" {
			want = "no arguments"
		}
		return usageError{fmt.Errorf("%s takes %s; see %s --help", c.CommandPath(), want, c.CommandPath())}
	}
}

// group makes a command that only has commands below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unknown command %q for %q; see %s --help", args[0], c.CommandPath(), c.CommandPath())}
		}
		return c.Help()
	}
	c.AddCommand(below...)
	return c
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of weir-bundle",
		Args:  takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintln(c.OutOrStdout(), version.Version)
			return nil
		},
	}
}
