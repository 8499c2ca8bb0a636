package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

// upgradePoll is how often a following command looks how far an upgrade is, and
// upgradeAway how long it bears that nobody answers.
const (
	upgradePoll = time.Second
	upgradeAway = 5 * time.Minute
)

// startTimeout bounds the begin of an upgrade: every node looks at its repository.
const startTimeout = 90 * time.Second

func newUpgrade(w *where) *cobra.Command {
	c := group("upgrade", "Bring a version to all nodes of the cluster",
		newUpgradeStart(w), newUpgradeStatus(w),
		upgradeVerb(w, "pause", "Begin no other node", `Begin no other node. One that is out of service is finished and put back first.`,
			api.RolloutsClient.Pause, false),
		upgradeVerb(w, "resume", "Go on after a pause or a failure", `Go on after a pause or a failure, and try again what failed. Follows the upgrade to
its end, like start.`,
			api.RolloutsClient.Resume, true),
		upgradeVerb(w, "rollback", "Take every node to the version that it ran before", `Take every node to the version that it ran before the upgrade, in the same way: one
node after the other, drained first. A trial that runs is ended. Works while an
upgrade runs and after it. Follows it to its end, like start.`,
			api.RolloutsClient.RollBack, true))
	c.Long = `Bring a version to all nodes of the cluster without losing a connection.

The configuration service does it: this command may end, or run elsewhere. Every
node installs the version beside the one that runs, is drained, restarts into it,
and keeps it only if its own health gate finds it well; the next node follows when
all nodes are announced by their neighbours and have complete state. The first
failure stops the upgrade, and status says why and what to do. What is out of
service then is put back.`
	return c
}

func newUpgradeStart(w *where) *cobra.Command {
	q := &api.RolloutStart{}
	c := &cobra.Command{
		Use:   "start",
		Short: "Upgrade all nodes, one after the other",
		Long: `Upgrade all nodes, one after the other, and follow that to its end. Interrupting
this command does not stop the upgrade: pause does.

The version comes from the repository of each node (updates.repository in its
node.yaml). First every node is asked whether it can take part and may install it;
if one says no, nothing begins. Exit code 1 if the upgrade stops or is paused.`,
		Example: `  weirctl --config-service 10.30.0.2 upgrade start
  weirctl --config-service 10.30.0.2 upgrade start --version 1.4.0 --at-once 2`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return withRollouts(w, func(s api.RolloutsClient) error {
				fmt.Fprintln(c.ErrOrStderr(), "asking every node what it may install")
				u, err := askRollouts(c.Context(), startTimeout, s.Start, q)
				if err != nil {
					return err
				}
				return follow(c.Context(), s, u, c.OutOrStdout())
			})
		},
	}
	c.Flags().StringVar(&q.Version, "version", "", "`VERSION` to install; default: the newest that all nodes may install")
	c.Flags().Uint32Var(&q.AtOnce, "at-once", 1, "upgrade up to `N` nodes of one failure domain (nodes[].domain) at the same time")
	return c
}

func newUpgradeStatus(w *where) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how far the last upgrade is, with the time of every node",
		Long: `Show how far the last upgrade is. TIME is from the begin of the installation until
the node was in service again, OUT the part of it that it was not.`,
		Example: "  weirctl --config-service 10.30.0.2 upgrade status",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return withRollouts(w, func(s api.RolloutsClient) error {
				u, err := askRollouts(c.Context(), serviceTimeout, s.Status, &api.RolloutRequest{})
				if err != nil {
					return err
				}
				if format == "json" {
					return printJSON(c.OutOrStdout(), upgradeOf(u))
				}
				return printRollout(c.OutOrStdout(), u)
			})
		},
	}
	addFormat(c, &format)
	return c
}

type rolloutCall = func(api.RolloutsClient, context.Context, *api.RolloutRequest, ...grpc.CallOption) (*api.Rollout, error)

func upgradeVerb(w *where, verb, short, long string, call rolloutCall, follows bool) *cobra.Command {
	return &cobra.Command{
		Use:     verb,
		Short:   short,
		Long:    long,
		Example: "  weirctl --config-service 10.30.0.2 upgrade " + verb,
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return withRollouts(w, func(s api.RolloutsClient) error {
				u, err := askRollouts(c.Context(), serviceTimeout, func(ctx context.Context, q *api.RolloutRequest, o ...grpc.CallOption) (*api.Rollout, error) {
					return call(s, ctx, q, o...)
				}, &api.RolloutRequest{})
				switch {
				case err != nil:
					return err
				case follows:
					return follow(c.Context(), s, u, c.OutOrStdout())
				}
				return printRollout(c.OutOrStdout(), u)
			})
		},
	}
}

func withRollouts(w *where, call func(api.RolloutsClient) error) error {
	conn, err := dialService(w)
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(api.NewRolloutsClient(conn))
}

// errNoAnswer is for questions that may be asked again.
var errNoAnswer = errors.New("the configuration service does not answer")

// askRollouts bounds one question and turns its error into one for people.
func askRollouts[Q any](ctx context.Context, timeout time.Duration, call func(context.Context, Q, ...grpc.CallOption) (*api.Rollout, error), q Q) (*api.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u, err := call(ctx, q)
	s := status.Convert(err)
	switch s.Code() {
	case codes.OK:
		return u, nil
	case codes.NotFound:
		return nil, &coded{errors.New(s.Message()), exitNotFound}
	case codes.InvalidArgument:
		return nil, &coded{errors.New(s.Message()), exitUsage}
	case codes.Unavailable, codes.DeadlineExceeded:
		return nil, fmt.Errorf("%w: %s", errNoAnswer, s.Message())
	case codes.Unimplemented:
		return nil, errors.New("this configuration service is older and does not upgrade nodes: replace configd first")
	}
	return nil, errors.New(s.Message())
}

// follow tells every change until nothing more is done without an operator, and
// then the time of every node.
func follow(ctx context.Context, s api.RolloutsClient, u *api.Rollout, out io.Writer) error {
	way := "to version " + u.Version
	if u.Back {
		way = "to the versions of before"
	}
	fmt.Fprintf(out, "%s the upgrade %s\n", clock(), way)
	told := map[string]string{}
	heard := time.Now()
	for {
		for _, n := range u.Nodes {
			if text := line(n); told[n.Id] != text && (told[n.Id] != "" || n.Phase != "waiting") {
				told[n.Id] = text
				fmt.Fprintf(out, "%s %s %s\n", clock(), n.Id, text)
			}
		}
		if u.Idle {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(upgradePoll):
		}
		now, err := askRollouts(ctx, serviceTimeout, s.Status, &api.RolloutRequest{})
		switch {
		case err == nil:
			u, heard = now, time.Now()
		case !errors.Is(err, errNoAnswer) || time.Since(heard) > upgradeAway:
			return err
		}
	}
	fmt.Fprintln(out)
	if err := printRollout(out, u); err != nil {
		return err
	}
	if u.State != "done" {
		return &coded{errors.New(""), exitFailed} // the table says why
	}
	return nil
}

func clock() string { return time.Now().Format(time.TimeOnly) }

// line is how far a node is, without the numbers that change all the time.
func line(n *api.RolloutNode) string {
	text := n.Phase
	switch n.Phase {
	case "installing", "trying", "restarting":
		text += " " + n.To
	case "done":
		if n.TookSeconds > 0 {
			text += fmt.Sprintf(": runs %s, after %s, out of service for %s", n.To, seconds(n.TookSeconds), seconds(n.OutSeconds))
		}
	case "failed":
		text += ": " + n.Now
	}
	return text
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f s", s)
}
