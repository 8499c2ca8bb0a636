package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/services/api"
)

// rotatePoll is how often is looked who has a step in force.
const rotatePoll = 200 * time.Millisecond

// awayAfter is when a machine that has not reported is called away, in seconds;
// it reports every 45 s at the latest.
const awayAfter = 60

func newKeys(w *where) *cobra.Command {
	return group("keys", "Rotate the keys of control traffic", newRotate(w), newKeysStatus(w))
}

// phaseNames say what is so in a phase.
var phaseNames = map[api.KeysPhase]string{
	api.KeysPhase_KEYS_STEADY:  "one key is in use",
	api.KeysPhase_KEYS_ADDED:   "the new key is accepted",
	api.KeysPhase_KEYS_SEALING: "the new key is in use, the old one is accepted",
}

func newRotate(w *where) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Replace the key of control traffic, without losing a connection",
		Long: `Replace the key that authenticates control traffic between nodes and modules.

In three steps: everybody accepts the new key, everybody uses it, everybody
forgets the old one. Each step waits until all registered nodes and servers of
the cluster file have the one before it in force. A rotation that was
interrupted, at any point, is finished by the next call. A machine that is gone
for good is not waited for when it is taken out of the cluster file.

The key that places flows on the ring is never replaced: that would move every
connection.`,
		Example: "  weirctl --lab keys rotate",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return withService(c.Context(), w, func(ctx context.Context, s api.ConfigClient) error {
				return rotate(ctx, s, c.OutOrStdout())
			})
		},
	}
}

// rotate goes through the phases until there is one key again.
func rotate(ctx context.Context, s api.ConfigClient, out io.Writer) error {
	now, err := ask(ctx, s.Keys, &api.KeysRequest{})
	if err != nil {
		return err
	}
	if now.Phase != api.KeysPhase_KEYS_STEADY {
		fmt.Fprintln(out, "going on with the rotation that was begun before:", phaseNames[now.Phase])
	}
	for begun := false; ; begun = true {
		if err := awaitKeys(ctx, s, out); err != nil {
			return err
		}
		if now.Phase == api.KeysPhase_KEYS_STEADY && begun {
			fmt.Fprintf(out, "done: key %08x is in use everywhere\n", now.Ids[0])
			return nil
		}
		next, err := ask(ctx, s.ChangeKeys, &api.KeysChange{To: (now.Phase + 1) % 3, ExpectedRevision: now.Revision})
		var late *conflict
		switch {
		case errors.As(err, &late): // somebody rotates too, or a machine has just restarted
			if now, err = ask(ctx, s.Keys, &api.KeysRequest{}); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		now = next
		fmt.Fprintf(out, "%s (revision %d)\n", phaseNames[now.Phase], now.Revision)
	}
}

// awaitKeys waits until everybody has the present phase in force, and tells
// whenever it waits for somebody else.
func awaitKeys(ctx context.Context, s api.ConfigClient, out io.Writer) error {
	told := ""
	for {
		now, err := ask(ctx, s.Keys, &api.KeysRequest{})
		if err != nil {
			return err
		}
		if len(now.Waiting) == 0 {
			return nil
		}
		if text := waiting(now); text != told {
			fmt.Fprintln(out, text)
			told = text
		}
		select {
		case <-time.After(rotatePoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func waiting(s *api.KeysStatus) string {
	var names []string
	for _, r := range s.Waiting {
		name := r.Kind + " " + r.Id
		switch {
		case r.SeenSeconds > awayAfter:
			name += " (away)"
		case r.Said.GetError() != "":
			name += " (" + r.Said.Error + ")"
		}
		names = append(names, name)
	}
	return "waiting for " + strings.Join(names, ", ")
}

func newKeysStatus(w *where) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show how far a rotation is",
		Example: "  weirctl --lab keys status",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return withService(c.Context(), w, func(ctx context.Context, s api.ConfigClient) error {
				now, err := ask(ctx, s.Keys, &api.KeysRequest{})
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s (revision %d, key %08x)\n", phaseNames[now.Phase], now.Revision, now.Ids[0])
				if len(now.Waiting) > 0 {
					fmt.Fprintln(c.OutOrStdout(), waiting(now))
				}
				return nil
			})
		},
	}
}
