package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"weir/services/api"
)

func newHistory(w *where) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "history ID",
		Short: "Show the boots, upgrades and crashes that a node remembers",
		Long: `Show the boots, upgrades and crashes that a node remembers, newest first.

A boot that ended uncleanly lost its power, or its kernel hung or crashed.`,
		Example: "  weirctl --lab node history lb1",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			t, err := nodeOf(c.Context(), w, args[0])
			if err != nil {
				return err
			}
			h, err := askNode(c.Context(), t, func(ctx context.Context, a api.AdminClient) (*api.NodeHistory, error) {
				return a.History(ctx, &api.HistoryRequest{})
			})
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(c.OutOrStdout(), h)
			}
			return printHistory(h, c.OutOrStdout())
		},
	}
	addFormat(c, &format)
	return c
}

func printHistory(h *api.NodeHistory, w io.Writer) error {
	t := newTable(w)
	if m := h.Machine; m != nil {
		fmt.Fprintf(t, "machine %s\n\n", strings.Join(strings.Fields(m.Vendor+" "+m.Product+" "+m.Serial+" "+m.Uuid), " "))
	}
	t.row("STARTED", "VERSION", "SLOT", "READY AFTER", "UP FOR", "END")
	for i, b := range h.Boots {
		end := b.End
		if i == 0 && end == "" {
			end = "runs"
		}
		t.row(b.Started, orDash(b.Version), orDash(b.Slot), orDash(span(b.GetMilestones().GetTrafficReady())), span(b.UpSeconds), orDash(end))
	}
	if len(h.Upgrades) > 0 {
		fmt.Fprintln(t)
		t.row("UPGRADE", "TIME", "TO", "REASON")
		for _, u := range h.Upgrades {
			t.row(u.End, u.Time, orDash(u.Version), orDash(u.Reason))
		}
	}
	if len(h.Crashes) > 0 {
		fmt.Fprintln(t)
		t.row("CRASH", "TIME", "LAST LINE")
		for _, c := range h.Crashes {
			lines := strings.Split(strings.TrimSpace(c.Text), "\n")
			t.row(c.Name, orDash(c.Time), orDash(lines[len(lines)-1]))
		}
	}
	return t.Flush()
}
