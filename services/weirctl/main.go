// Command weirctl is the one command-line tool for a Weir cluster (S-110).
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weir/services/config"
	"weir/services/version"
)

// Exit codes, part of the interface.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
)

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (c *coded) Unwrap() error { return c.error }

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs one command line and gives its exit code.
func execute(args []string, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	if err == nil {
		return 0
	}
	var all config.Errors
	var c *coded
	switch {
	case errors.As(err, &all):
		for _, e := range all {
			fmt.Fprintln(errOut, "weirctl:", e)
		}
		return exitUsage
	case errors.As(err, &c):
		if err.Error() != "" {
			fmt.Fprintln(errOut, "weirctl:", err)
		}
		return c.code
	}
	fmt.Fprintln(errOut, "weirctl:", err)
	if strings.HasPrefix(err.Error(), "unknown command") { // cobra has no type for it
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	w := &where{}
	root := &cobra.Command{
		Use:   "weirctl",
		Short: "Operate a Weir cluster",
		Long: `Operate a Weir cluster.

weirctl asks the control plane of the node it runs on, or of others (--node), and
the configuration service (--config-service); or, with --lab, those of the lab
that runs in this source tree. Over the network it needs an operator's
certificate (weirctl certs).

Exit codes: 0 done, 1 failed, 2 bad arguments or configuration, 3 not found.`,
		Example: `  weirctl status
  weirctl --lab status -o json
  weirctl --lab trace --client 198.51.100.10:40000 --vip 203.0.113.10:80
  weirctl --lab server drain srv1
  weirctl --lab node drain lb1
  weirctl --config-service 10.30.0.2 apply -f cluster.yaml
  weirctl config check /etc/weir/cluster.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &coded{fmt.Errorf("%w; see %s --help", err, c.CommandPath()), exitUsage}
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	f := root.PersistentFlags()
	f.BoolVar(&w.lab, "lab", false, "ask every node and server of the running lab (build/lab/lab.json, here or above)")
	f.StringSliceVar(&w.nodes, "node", []string{"/run/weir/noded.sock"}, "admin sockets of nodes, or addresses: 10.20.0.11:6090")
	f.StringSliceVar(&w.modules, "module", []string{"/run/weir/lbmodule.sock"}, "admin sockets of LB modules")
	f.StringVar(&w.access.service, "config-service", "", "`ADDR` of the configuration service, with its port unless that is 6092")
	f.StringVar(&w.access.files.CA, "ca", "/etc/weir/ca.crt", "`FILE` of the cluster's authority")
	f.StringVar(&w.access.files.Cert, "cert", "/etc/weir/operator.crt", "`FILE` of the operator's certificate")
	f.StringVar(&w.access.files.Key, "key", "/etc/weir/operator.key", "`FILE` of its key")
	root.AddCommand(newStatus(w), newTrace(w), newCapture(w), newNode(w), newServer(w), newApply(w), newGet(w), newDiff(w), newRegistrations(w),
		newKeys(w), newUpgrade(w), newMachine(w), newCerts(), newConfig(), newPassword(), newVersion())
	return root
}

// exactly is cobra's check of the number of arguments, with our exit code.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := "no arguments"
		switch len(names) {
		case 0:
		case 1:
			want = "1 argument: " + names[0]
		default:
			want = fmt.Sprintf("%d arguments: %s", len(names), strings.Join(names, " "))
		}
		return &coded{fmt.Errorf("%s takes %s; see %s --help", c.CommandPath(), want, c.CommandPath()), exitUsage}
	}
}

// group makes a command that only has commands below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return &coded{fmt.Errorf("unknown command %q for %q; see %s --help", args[0], c.CommandPath(), c.CommandPath()), exitUsage}
		}
		return c.Help()
	}
	c.AddCommand(below...)
	return c
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of weirctl",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			fmt.Fprintln(c.OutOrStdout(), version.Version)
			return nil
		},
	}
}

func newConfig() *cobra.Command {
	return group("config", "Look at configuration files", &cobra.Command{
		Use:   "check FILE",
		Short: "Validate a node, cluster or module file and the files it names",
		Long: `Validate a node, cluster or module file and the files it names.

Every error is one line, FILE:LINE: PATH: REASON; REMEDY. Exit code 2 if there is one.`,
		Example: "  weirctl config check /etc/weir/node.yaml",
		Args:    exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			kind, warnings, err := config.Check(args[0])
			if err != nil {
				var all config.Errors
				if errors.As(err, &all) {
					return err
				}
				return &coded{err, exitUsage}
			}
			for _, w := range warnings {
				fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: the %s file is valid\n", args[0], kind)
			return nil
		},
	})
}
