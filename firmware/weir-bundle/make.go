package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"weir/firmware/bundle"
	"weir/firmware/repository"
	"weir/image/manifest"
)

func newMake(p *place) *cobra.Command {
	var version, out string
	c := &cobra.Command{
		Use:     "make",
		Short:   "Write the bundle of a published release",
		Example: "  weir-bundle make\n  weir-bundle make --version 1.3.2 --out /srv/bundles",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return makeBundle(c, p, version, out)
		},
	}
	c.Flags().StringVar(&version, "version", "", "which release (default: the newest)")
	c.Flags().StringVar(&out, "out", "build", "`FOLDER` for the bundle")
	return c
}

func makeBundle(c *cobra.Command, p *place, version, out string) error {
	m, err := bundle.Make(c.Context(), p.repository, version, out, p.now, progress(c.ErrOrStderr(), p.now))
	if err != nil {
		return err
	}
	state := "wrote"
	if !m.Changed {
		state = "kept"
	}
	fmt.Fprintf(c.OutOrStdout(), "%s %s, %.1f MiB\n", state, m.Path, mib(m.Size))
	return nil
}

// progress says every second how far something is that takes longer than two.
func progress(w io.Writer, started time.Time) func(bytes, of int64) {
	next := started.Add(2 * time.Second)
	return func(bytes, of int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			fmt.Fprintf(w, "%.0f of %.0f MiB\n", mib(bytes), mib(of))
		}
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func newRelease(p *place) *cobra.Command {
	var d repository.Development
	var image, floor, out string
	c := &cobra.Command{
		Use:   "release",
		Short: "Release an image with the development keys: stage, sign, publish, bundle",
		Long: `Release an image with the development keys: stage, sign, publish, bundle.

This is what make bundle runs. What is done already is not done again.`,
		Example: "  weir-bundle release\n  weir-bundle release --image build/image --floor 0.1.0 --out build",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := d.Create(p.now); err != nil {
				return err
			}
			r := &repository.Repository{Dir: p.repository}
			done, err := d.Release(r, image, floor, p.now)
			if err != nil {
				return err
			}
			printPublished(c.OutOrStdout(), p.repository, done)
			m, err := manifest.Read(image)
			if err != nil {
				return err
			}
			return makeBundle(c, p, m.Version, out)
		},
	}
	c.Flags().StringVar(&d.Dir, "keys", developmentDir, "`FOLDER` of the development keys")
	c.Flags().StringVar(&image, "image", "build/image", "`FOLDER` that make image has written")
	c.Flags().StringVar(&floor, "floor", "", "lowest `VERSION` that nodes may go to (default: as it is)")
	c.Flags().StringVar(&out, "out", "build", "`FOLDER` for the bundle")
	return c
}

func printPublished(w io.Writer, dir string, done repository.Published) {
	state := "published"
	if !done.Changed {
		state = "nothing new in"
	}
	fmt.Fprintf(w, "%s %s: root %d, targets %d, snapshot %d, timestamp %d\n", state, dir, done.Root, done.Targets, done.Snapshot, done.Timestamp)
}
