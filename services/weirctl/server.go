package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"weir/services/api"
)

func newServer(w *where) *cobra.Command {
	parent := group("server", "Operate servers")
	for _, verb := range []struct{ name, short, done string }{
		{"drain", "Give a server no new connections; it keeps its old ones (S-34)", "draining"},
		{"undrain", "Give a server new connections again", "healthy"},
	} {
		parent.AddCommand(&cobra.Command{
			Use:     verb.name + " ID",
			Short:   verb.short,
			Long:    verb.short + ".\n\nRuns on the server itself, or anywhere in the source tree of a lab with --lab.",
			Example: "  weirctl --lab server " + verb.name + " srv1",
			Args:    exactly("ID"),
			RunE: func(c *cobra.Command, args []string) error {
				t, err := moduleOf(c.Context(), w, args[0])
				if err != nil {
					return err
				}
				if err := askModule(c.Context(), t, "POST", "/"+verb.name, nil, nil); err != nil {
					return fmt.Errorf("%s %s: %w", verb.name, args[0], err)
				}
				fmt.Fprintf(c.OutOrStdout(), "%s is %s\n", args[0], verb.done)
				return nil
			},
		})
	}
	return parent
}

// moduleOf is the module of a server, which must be the one that it says it is.
func moduleOf(ctx context.Context, w *where, id string) (target, error) {
	_, modules, err := w.targets()
	if err != nil {
		return target{}, err
	}
	var asked []error
	for _, t := range modules {
		if t.id != "" && t.id != id {
			continue
		}
		var s api.ModuleStatus
		if err := askModule(ctx, t, "GET", "/status", nil, &s); err != nil {
			asked = append(asked, err)
			continue
		}
		if s.ID == id {
			return t, nil
		}
	}
	if len(asked) > 0 {
		return target{}, asked[0]
	}
	return target{}, &coded{fmt.Errorf("no module of server %q is known here; run this on the server, or with --lab in the lab's source tree", id), exitNotFound}
}
