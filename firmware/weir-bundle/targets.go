package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/firmware/repository"
)

const targetsDays = int(repository.TargetsLife / (24 * time.Hour))

func newTargets(p *place) *cobra.Command {
	return group("targets", "Stage releases", targetsAdd(p), targetsRemove(p), targetsRenew(p))
}

func targetsAdd(p *place) *cobra.Command {
	var image, floor string
	var days int
	c := &cobra.Command{
		Use:   "add",
		Short: "Stage the release of an image folder",
		Long: `Stage the release of an image folder.

Its files are copied into the repository. A release of the same version is replaced.
The image has to trust a root of this repository: one that does not could never be
updated again. A floor is the lowest version that nodes go to from then on, also by
hand; it is never lowered.`,
		Example: "  weir-bundle targets add --image build/image\n  weir-bundle targets add --image build/image --floor 1.4.0",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			r := &repository.Repository{Dir: p.repository}
			return staged(c)(r.Add(image, floor, p.after(days)))
		},
	}
	c.Flags().StringVar(&image, "image", "build/image", "`FOLDER` that make image has written")
	c.Flags().StringVar(&floor, "floor", "", "lowest `VERSION` that nodes may go to (default: as it is)")
	addDays(c, &days)
	return c
}

func targetsRemove(p *place) *cobra.Command {
	var days int
	c := &cobra.Command{
		Use:     "remove VERSION",
		Short:   "Stage the releases without one of them",
		Example: "  weir-bundle targets remove 1.3.2",
		Args:    takes("VERSION"),
		RunE: func(c *cobra.Command, args []string) error {
			return staged(c)((&repository.Repository{Dir: p.repository}).Remove(args[0], p.after(days)))
		},
	}
	addDays(c, &days)
	return c
}

func targetsRenew(p *place) *cobra.Command {
	var days int
	c := &cobra.Command{
		Use:     "renew",
		Short:   "Stage the same releases with more time, or for other keys",
		Example: "  weir-bundle targets renew",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			return staged(c)((&repository.Repository{Dir: p.repository}).Renew(p.after(days)))
		},
	}
	addDays(c, &days)
	return c
}

// addDays adds the flag for how long signed releases are valid.
func addDays(c *cobra.Command, days *int) {
	c.Flags().IntVar(days, "days", targetsDays, "how long it is valid")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *days < 1 {
			return usageError{fmt.Errorf("days count from 1")}
		}
		return nil
	}
}
