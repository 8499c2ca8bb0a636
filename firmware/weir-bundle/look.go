package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/firmware/bundle"
	"weir/firmware/release"
	"weir/firmware/repository"
	"weir/firmware/trust"
)

func newStatus(p *place) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show which signatures the repository has, and which it waits for",
		Example: "  weir-bundle status\n  weir-bundle status -o json",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := (&repository.Repository{Dir: p.repository}).Status()
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			return printStatus(c.OutOrStdout(), list)
		},
	}
	addFormat(c, &format)
	return c
}

// verified is what verify and inspect print as JSON.
type verified struct {
	*trust.Catalog
	Takes *release.Release `json:"takes,omitempty"` // what a node would install
}

func newVerify(p *place) *cobra.Command {
	var format, root, version string
	c := &cobra.Command{
		Use:   "verify FILE|FOLDER --root FILE",
		Short: "Do what a node does with a bundle or a repository before it writes",
		Long: `Do what a node does with a bundle or a repository before it writes: check
signatures, times, versions and every byte of the files.

A node refuses what this refuses. It may refuse more: it remembers what it has seen.`,
		Example: "  weir-bundle verify build/weir-0.1.0.bundle --root build/keys/root.json\n" +
			"  weir-bundle verify build/repository --root root.json --version 0.1.0 -o json",
		Args: takes("FILE|FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			anchor, err := os.ReadFile(root)
			if err != nil {
				return fmt.Errorf("trusted root: %w", err)
			}
			return withSource(args[0], func(src trust.Source) error {
				v, err := look(c.Context(), src, anchor, p.now)
				if err != nil {
					return err
				}
				r, err := v.Select(src, version, release.Compatible)
				if err != nil {
					return err
				}
				report := progress(c.ErrOrStderr(), time.Now())
				if err := trust.CheckFiles(c.Context(), src, r, func(n int64) { report(n, r.Size()) }); err != nil {
					return err
				}
				v.Takes = &r
				return v.print(c.OutOrStdout(), format)
			})
		},
	}
	c.Flags().StringVar(&root, "root", "", "`FILE` with the trusted root")
	c.Flags().StringVar(&version, "version", "", "which release (default: the newest, or that of the bundle)")
	must(c.MarkFlagRequired("root"))
	addFormat(c, &format)
	return c
}

func newInspect() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "inspect FILE|FOLDER",
		Short: "Show what a bundle or a repository says of itself",
		Long: `Show what a bundle or a repository says of itself.

The keys are those of its own first root, so this tells nothing of who made it, and
what has expired is shown as well. To know whether a node takes it: weir-bundle verify.`,
		Example: "  weir-bundle inspect build/weir-0.1.0.bundle\n  weir-bundle inspect build/repository -o json",
		Args:    takes("FILE|FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			return withSource(args[0], func(src trust.Source) error {
				anchor, err := src.Metadata(c.Context(), "1.root.json", trust.MaxRoot)
				if err != nil {
					return fmt.Errorf("first root of %s: %w", src, err)
				}
				v, err := look(c.Context(), src, anchor, time.Time{})
				if err != nil {
					return err
				}
				return v.print(c.OutOrStdout(), format)
			})
		},
	}
	addFormat(c, &format)
	return c
}

// withSource opens a bundle, or the folder of a repository.
func withSource(path string, use func(trust.Source) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		f, err := trust.OpenFolder(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return use(f)
	}
	b, err := bundle.OpenFile(path)
	if err != nil {
		return err
	}
	defer b.Close()
	return use(b)
}

func look(ctx context.Context, src trust.Source, root []byte, now time.Time) (verified, error) {
	c, err := trust.Verifier{Root: root, Now: now}.Refresh(ctx, src)
	return verified{Catalog: c}, err
}

func (v verified) print(w io.Writer, format string) error {
	if format == "json" {
		return printJSON(w, v)
	}
	floor := v.Floor
	if floor == "" {
		floor = "none"
	}
	fmt.Fprintf(w, "%s: root %d, targets %d, timestamp %d; valid until %s; floor %s\n\n", v.Source, v.Root, v.Targets, v.Timestamp, moment(v.Expires), floor)
	t := newTable(w)
	t.row("VERSION", "FOR", "FILE", "BYTES", "SHA-256")
	for _, r := range v.Releases {
		for _, f := range r.Files {
			t.row(r.Version, r.Compatible, f.Name, f.Size, f.SHA256)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if v.Takes != nil {
		fmt.Fprintf(w, "\nverified: a node with this root takes version %s\n", v.Takes.Version)
	}
	return nil
}

func printStatus(w io.Writer, list []repository.Standing) error {
	t := newTable(w)
	t.row("FILE", "EXPIRES", "FOR ROOT", "SIGNED", "NEEDS", "BY", "NOT BY")
	for _, s := range list {
		for _, x := range s.Wanted {
			t.row(s.File, moment(s.Expires), x.Root, len(x.Signed), x.Need, short(x.Signed), short(x.Missing))
		}
	}
	return t.Flush()
}

// short is how much of identifiers people compare.
func short(ids []string) string {
	if len(ids) == 0 {
		return "-"
	}
	var list []string
	for _, id := range ids {
		list = append(list, id[:min(8, len(id))])
	}
	return strings.Join(list, " ")
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
