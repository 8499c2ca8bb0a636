package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"weir/services/api"
)

func newNode(w *where) *cobra.Command {
	parent := group("node", "Operate nodes", newHistory(w), newMetrics(w), newNodeUpgrade(w))
	for _, verb := range []struct {
		name, short string
		undrain     bool
	}{
		{"drain", "Take a node out of service without losing a connection (S-64)", false},
		{"undrain", "Put a node back into service", true},
	} {
		parent.AddCommand(&cobra.Command{
			Use:   verb.name + " ID",
			Short: verb.short,
			Long: verb.short + `, and wait until it is so.

Runs on the node itself, with --node ADDR anywhere, or in the source tree of a
lab with --lab.`,
			Example: "  weirctl --lab node " + verb.name + " lb1",
			Args:    exactly("ID"),
			RunE: func(c *cobra.Command, args []string) error {
				t, err := nodeOf(c.Context(), w, args[0])
				if err != nil {
					return err
				}
				return drain(c.Context(), t, args[0], verb.undrain, c.OutOrStdout())
			},
		})
	}
	return parent
}

func newMetrics(w *where) *cobra.Command {
	return &cobra.Command{
		Use:   "metrics ID",
		Short: "Print a node's metrics, in the text format of Prometheus",
		Long: `Print a node's metrics, in the text format of Prometheus.

They are the same that the node serves over HTTP on its fabric address.`,
		Example: "  weirctl --lab node metrics lb1",
		Args:    exactly("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := nodeOf(c.Context(), w, args[0])
			if err != nil {
				return err
			}
			m, err := askNode(c.Context(), t, func(ctx context.Context, a api.AdminClient) (*api.NodeMetrics, error) {
				return a.Metrics(ctx, &api.MetricsRequest{})
			})
			if err == nil {
				_, err = io.WriteString(c.OutOrStdout(), m.Text)
			}
			return err
		},
	}
}

// nodeOf is the node with an id, which must be the one that it says it is.
func nodeOf(ctx context.Context, w *where, id string) (target, error) {
	nodes, _, err := w.targets()
	if err != nil {
		return target{}, err
	}
	var asked []error
	for _, t := range nodes {
		if t.id != "" && t.id != id {
			continue
		}
		s, err := askNode(ctx, t, func(ctx context.Context, a api.AdminClient) (*api.NodeStatus, error) {
			return a.Status(ctx, &api.NodeStatusRequest{})
		})
		if err != nil {
			asked = append(asked, err)
		} else if s.Id == id {
			return t, nil
		}
	}
	if len(asked) > 0 {
		return target{}, asked[0]
	}
	return target{}, &coded{fmt.Errorf("no node %q is known here; run this on the node, with --node ADDR, or with --lab in the lab's source tree", id), exitNotFound}
}

// drain follows the node through its phases. It takes as long as it takes:
// routers and peers set the pace.
func drain(ctx context.Context, t target, id string, undrain bool, out io.Writer) error {
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := api.NewAdminClient(conn).Drain(ctx, &api.DrainRequest{Undrain: undrain})
	for err == nil {
		var p *api.DrainProgress
		if p, err = stream.Recv(); err == nil {
			fmt.Fprintf(out, "%s: %s\n", id, p.Phase)
			if p.Done {
				return nil
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s ended before it was done", id)
	}
	return fmt.Errorf("ask %s: %s", t, status.Convert(err).Message())
}
