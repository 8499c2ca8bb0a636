package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/services/api"
)

// registrationRow is one machine in `weirctl registrations -o json`. Its names
// are public interface.
type registrationRow struct {
	Kind     string   `json:"kind"` // node or server
	ID       string   `json:"id"`
	State    string   `json:"state"`    // current, behind, pending or unknown
	Revision int64    `json:"revision"` // in force; 0: none
	Version  string   `json:"version"`
	Boot     string   `json:"boot"`
	Seen     *float64 `json:"seen_seconds"` // ago; null: never
	Error    string   `json:"error"`
}

// States of a machine, as the configuration service sees it.
const (
	stateCurrent = "current" // has the newest revision in force
	stateBehind  = "behind"
	statePending = "pending" // registered, but not in the cluster file (S-7)
	stateUnknown = "unknown" // in the cluster file, but never registered
)

func newRegistrations(w *where) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "registrations",
		Short: "Show who has registered, and who has the newest configuration in force",
		Long: `Show who has registered, and who has the newest configuration in force.

Nodes and servers register themselves. Whoever is not in the cluster file is
pending, and is told nothing; adding it to the file approves it.`,
		Example: "  weirctl --lab registrations",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return withService(c.Context(), w, func(ctx context.Context, s api.ConfigClient) error {
				list, err := ask(ctx, s.Registrations, &api.RegistrationsRequest{})
				if err != nil {
					return err
				}
				rows := []registrationRow{}
				for _, r := range list.List {
					rows = append(rows, registration(r))
				}
				if format == "json" {
					return printJSON(c.OutOrStdout(), rows)
				}
				t := newTable(c.OutOrStdout())
				t.row("KIND", "ID", "STATE", "REVISION", "SEEN", "VERSION", "ERROR")
				for _, r := range rows {
					t.row(r.Kind, r.ID, r.State, r.Revision, seen(r.Seen), orDash(r.Version), orDash(r.Error))
				}
				return t.Flush()
			})
		},
	}
	addFormat(c, &format)
	return c
}

func registration(r *api.Registered) registrationRow {
	row := registrationRow{Kind: r.Kind, ID: r.Id, State: stateBehind}
	switch {
	case !r.Approved:
		row.State = statePending
	case r.Said == nil:
		row.State = stateUnknown
	case r.Current:
		row.State = stateCurrent
	}
	if s := r.Said; s != nil {
		row.Revision, row.Version, row.Boot, row.Error, row.Seen = s.Revision, s.Version, fmt.Sprintf("%016x", s.Boot), s.Error, &r.SeenSeconds
	}
	return row
}

func seen(seconds *float64) string {
	if seconds == nil {
		return "never"
	}
	return (time.Duration(*seconds) * time.Second).String() + " ago"
}
