package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

func newNodeUpgrade(w *where) *cobra.Command {
	return group("upgrade", "Replace the image of one node (S-104)", nodeUpgradeStatus(w), nodeUpgradeCheck(w), nodeUpgradeStart(w),
		nodeUpgradeOrder(w, "try", "Restart a node into the version that its other slot holds", "It stays there if the node proves healthy, and goes back by itself otherwise.",
			func(ctx context.Context, u api.UpdateClient) (*api.UpdateReply, error) {
				return u.Try(ctx, &api.UpdateTryRequest{})
			}),
		nodeRollBack(w),
		nodeUpgradeOrder(w, "pause", "Stop a node's download or installation, and its schedule", "It stays so over restarts. A version that is on trial is proved all the same.",
			func(ctx context.Context, u api.UpdateClient) (*api.UpdateReply, error) {
				return u.Pause(ctx, &api.UpdatePauseRequest{})
			}),
		nodeUpgradeOrder(w, "resume", "Let them go on where they stopped", "",
			func(ctx context.Context, u api.UpdateClient) (*api.UpdateReply, error) {
				return u.Resume(ctx, &api.UpdateResumeRequest{})
			}))
}

// askUpdated calls updated of a node, through its noded. Without a limit it takes as
// long as it takes.
func askUpdated[T any](ctx context.Context, w *where, id string, limit bool, call func(context.Context, api.UpdateClient) (T, error)) (T, error) {
	var zero T
	t, err := nodeOf(ctx, w, id)
	if err != nil {
		return zero, err
	}
	conn, err := t.dial()
	if err != nil {
		return zero, err
	}
	defer conn.Close()
	if limit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, remoteTimeout)
		defer cancel()
	}
	v, err := call(ctx, api.NewUpdateClient(conn))
	return v, ofUpdated(id, err)
}

// ofUpdated is an error of a call for people.
func ofUpdated(id string, err error) error {
	s, isStatus := status.FromError(err)
	switch {
	case err == nil || !isStatus:
		return err
	case s.Code() == codes.InvalidArgument:
		return &coded{fmt.Errorf("%s: %s", id, s.Message()), exitUsage}
	}
	return fmt.Errorf("%s: %s", id, s.Message())
}

func nodeUpgradeOrder(w *where, verb, short, more string, order func(context.Context, api.UpdateClient) (*api.UpdateReply, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Long: strings.TrimSpace(short + ".\n\n" + more),
		Example: "  weirctl --node 10.20.0.11:6090 node upgrade " + verb + " lb1",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := askUpdated(c.Context(), w, args[0], true, order)
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", args[0], a.Done)
			}
			return err
		},
	}
}

func nodeRollBack(w *where) *cobra.Command {
	var reason string
	c := nodeUpgradeOrder(w, "rollback", "End a node's trial, or go back to the version before",
		"A trial that runs ends with a restart. Without one the version of before is tried,\nand stays if the node proves healthy.",
		func(ctx context.Context, u api.UpdateClient) (*api.UpdateReply, error) {
			return u.RollBack(ctx, &api.UpdateRollBackRequest{Reason: reason})
		})
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for who reads the history")
	return c
}

func nodeUpgradeStart(w *where) *cobra.Command {
	var version, bundle string
	var noTry bool
	c := &cobra.Command{
		Use:   "start ID",
		Short: "Install a version on a node, and try it",
		Long: `Install a version on a node, and try it.

Of the repository in its node.yaml, or of a bundle that lies on the node, the newest
version unless --version names one. It is verified before anything is written, goes
into the slot that does not run, and stays if the node proves healthy. Stopping this
command does not stop the node.`,
		Example: `  weirctl --node 10.20.0.11:6090 node upgrade start lb1
  weirctl node upgrade start lb1 --bundle /var/lib/weir/weir-1.2.0.bundle --no-try`,
		Args: exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			_, err := askUpdated(c.Context(), w, args[0], false, func(ctx context.Context, u api.UpdateClient) (*api.UpdateReply, error) {
				stream, err := u.Install(ctx, &api.UpdateInstallRequest{Version: version, Bundle: bundle, Try: !noTry})
				if err != nil {
					return nil, err
				}
				return nil, followUpgrade(args[0], stream.Recv, c.OutOrStdout())
			})
			if err == nil && !noTry {
				fmt.Fprintf(c.OutOrStdout(), "%s: restarts into it; see: weirctl node upgrade status %s\n", args[0], args[0])
			}
			return err
		},
	}
	c.Flags().StringVar(&version, "version", "", "`VERSION` to install")
	c.Flags().StringVar(&bundle, "bundle", "", "`PATH` on the node of a bundle")
	c.Flags().BoolVar(&noTry, "no-try", false, "only install it; weirctl node upgrade try restarts into it")
	return c
}

// followUpgrade prints how a job comes on: each phase, and each tenth of it.
func followUpgrade(id string, next func() (*api.UpdateProgress, error), out io.Writer) error {
	said := ""
	for {
		p, err := next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New(id + " ended before it was done")
		case err != nil:
			return err
		case p.Phase == "failed":
			return fmt.Errorf("%s: %s", id, p.Error)
		}
		if line := progressText(p); line != said {
			fmt.Fprintf(out, "%s: %s\n", id, line)
			said = line
		}
		if p.Phase == "done" {
			return nil
		}
	}
}

// progressText is a progress in words.
func progressText(p *api.UpdateProgress) string {
	line := strings.TrimSpace(p.Phase + " " + p.Version)
	if p.Size > 0 {
		line += fmt.Sprintf(" %d%% of %.1f MiB", p.Bytes*10/p.Size*10, float64(p.Size)/(1<<20))
	}
	if p.Error != "" {
		line += ": " + p.Error
	}
	return line
}

func nodeUpgradeCheck(w *where) *cobra.Command {
	var bundle, format string
	c := &cobra.Command{
		Use:     "check ID",
		Short:   "Look what versions a node could install",
		Example: "  weirctl --node 10.20.0.11:6090 node upgrade check lb1",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			a, err := askUpdated(c.Context(), w, args[0], false, func(ctx context.Context, u api.UpdateClient) (*api.UpdateCheck, error) {
				return u.Check(ctx, &api.UpdateCheckRequest{Bundle: bundle})
			})
			switch {
			case err != nil:
				return err
			case format == "json":
				return printJSON(c.OutOrStdout(), a)
			case a.Error != "":
				return fmt.Errorf("%s: %s", args[0], a.Error)
			}
			t := newTable(c.OutOrStdout())
			t.row("SOURCE", "NEWEST", "LOWEST ALLOWED", "VERSIONS", "SIGNED UNTIL")
			t.row(a.Source, orDash(a.Newest), orDash(a.Floor), strings.Join(a.Versions, ", "), a.Expires)
			return t.Flush()
		},
	}
	c.Flags().StringVar(&bundle, "bundle", "", "`PATH` on the node of a bundle")
	addFormat(c, &format)
	return c
}

func nodeUpgradeStatus(w *where) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "status ID",
		Short:   "Show a node's slots, its trial, and how its last upgrade ended",
		Example: "  weirctl --node 10.20.0.11:6090 node upgrade status lb1 -o json",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			a, err := askUpdated(c.Context(), w, args[0], true, func(ctx context.Context, u api.UpdateClient) (*api.UpdateStatus, error) {
				return u.Status(ctx, &api.UpdateStatusRequest{})
			})
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(c.OutOrStdout(), a)
			}
			return printUpgrade(a, c.OutOrStdout())
		},
	}
	addFormat(c, &format)
	return c
}

func printUpgrade(s *api.UpdateStatus, w io.Writer) error {
	t := newTable(w)
	t.row("VERSION", "SLOT", "LAST UPGRADE", "SINCE", "TO", "REPOSITORY", "PAUSED")
	t.row(s.Version, orDash(s.Slot), s.State, orDash(s.Changed), orDash(s.Target), orDash(s.Repository), map[bool]string{true: "yes", false: "no"}[s.Paused])
	if len(s.Slots) > 0 {
		fmt.Fprintln(t)
		t.row("SLOT", "VERSION", "STATE", "")
		for _, v := range s.Slots {
			var marks []string
			if v.Running {
				marks = append(marks, "runs")
			}
			if v.Committed {
				marks = append(marks, "committed")
			}
			t.row(v.Name, orDash(v.Version), v.Status, strings.Join(marks, ", "))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range upgradeNotes(s) {
		fmt.Fprintln(w, line)
	}
	return nil
}

// upgradeNotes are what does not fit into a table.
func upgradeNotes(s *api.UpdateStatus) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if s.Reason != "" {
		add("reason: %s", s.Reason)
	}
	if t := s.Trial; t != nil {
		add("on trial: well for %.0f of %.0f s, %.0f s left; %s", t.HeldSeconds, t.HoldSeconds, t.LeftSeconds, orDash(strings.Join(t.WaitsFor, "; ")))
		if t.Stays {
			add("it stays in any case: the other slot does not start")
		}
	}
	if s.Job != nil {
		add("job: %s", progressText(s.Job))
	}
	if s.Error != "" {
		add("cannot be upgraded: %s", s.Error)
	}
	if s.Fault != "" {
		add("fault: %s", s.Fault)
	}
	return out
}
