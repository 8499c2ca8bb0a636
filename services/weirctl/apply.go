package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"weir/services/api"
	"weir/services/config"
)

func newApply(w *where) *cobra.Command {
	var file string
	var allow bool
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Replace the cluster file in the configuration service",
		Long: `Replace the cluster file in the configuration service. Nodes and servers put it in
force within a moment, without losing a connection.

Every error is one line, FILE:LINE: PATH: REASON; REMEDY, and nothing changes. A
file that removes a third or more of the nodes or of the servers needs
--allow-removal.`,
		Example: `  weirctl --config-service 10.30.0.2 apply -f cluster.yaml
  weirctl --lab apply -f cluster.yaml`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := readFile(file)
			if err != nil {
				return err
			}
			if _, err := config.ParseCluster(file, []byte(text)); err != nil {
				return err
			}
			return withService(c.Context(), w, func(ctx context.Context, s api.ConfigClient) error {
				now, err := ask(ctx, s.Get, &api.GetRequest{})
				if err != nil {
					return err
				}
				done, err := ask(ctx, s.Apply, &api.ApplyRequest{Cluster: text, File: file, AllowRemoval: allow, ExpectedRevision: now.Revision})
				if err != nil {
					return err
				}
				for _, line := range done.Warnings {
					fmt.Fprintln(c.ErrOrStderr(), "warning:", line)
				}
				if done.Revision == now.Revision {
					fmt.Fprintf(c.OutOrStdout(), "%s is revision %d already\n", file, done.Revision)
					return nil
				}
				fmt.Fprintf(c.OutOrStdout(), "%s is revision %d\n", file, done.Revision)
				return nil
			})
		},
	}
	addFile(c, &file)
	c.Flags().BoolVar(&allow, "allow-removal", false, "a third or more of the nodes or servers may go")
	return c
}

func addFile(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "file", "f", "", "cluster `FILE`")
}

func newGet(w *where) *cobra.Command {
	return &cobra.Command{
		Use:     "get",
		Short:   "Print the cluster file of the configuration service",
		Example: "  weirctl --lab get",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return withService(c.Context(), w, func(ctx context.Context, s api.ConfigClient) error {
				now, err := ask(ctx, s.Get, &api.GetRequest{})
				if err != nil {
					return err
				}
				if now.Revision == 0 {
					return &coded{errors.New("no cluster file is applied yet"), exitNotFound}
				}
				fmt.Fprint(c.OutOrStdout(), now.Cluster)
				return nil
			})
		},
	}
}

// errDifferent ends `diff` with exit code 1, like diff(1), without another word.
var errDifferent = &coded{errors.New(""), exitFailed}

func newDiff(w *where) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "diff -f FILE",
		Short:   "Show what apply would change",
		Long:    "Show what apply would change, as a unified diff. Exit code 1 if there is a difference.",
		Example: "  weirctl --lab diff -f cluster.yaml",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := readFile(file)
			if err != nil {
				return err
			}
			return withService(c.Context(), w, func(ctx context.Context, s api.ConfigClient) error {
				now, err := ask(ctx, s.Get, &api.GetRequest{})
				if err != nil {
					return err
				}
				d := udiff.Unified(fmt.Sprintf("revision %d", now.Revision), file, now.Cluster, text)
				if d == "" {
					return nil
				}
				fmt.Fprint(c.OutOrStdout(), d)
				return errDifferent
			})
		},
	}
	addFile(c, &file)
	return c
}
