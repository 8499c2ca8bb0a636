package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weir/firmware/repository"
)

func newSign() *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use:   "sign FILE --key KEY",
		Short: "Add a signature to a staged root or targets file",
		Long: `Add a signature to a staged root or targets file.

It needs the file and the key, nothing else: copy the file to a machine without
network, look at it (it is text), sign it there, and bring it back.`,
		Example: "  weir-bundle sign build/repository/staged/2.targets.json --key /media/key/alice.key",
		Args:    takes("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			for _, path := range keys {
				by, err := repository.LoadSigner(path)
				if err != nil {
					return err
				}
				if err := repository.Sign(args[0], by); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "signed %s with %.16s (%s)\n", args[0], by.ID, path)
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&keys, "key", nil, "`FILES` of private keys")
	must(c.MarkFlagRequired("key"))
	return c
}

func newMerge() *cobra.Command {
	return &cobra.Command{
		Use:     "merge FILE COPY...",
		Short:   "Add the signatures of copies that were signed elsewhere",
		Example: "  weir-bundle merge build/repository/staged/2.root.json alice/2.root.json bob/2.root.json",
		Args:    takes("FILE", "COPY..."),
		RunE: func(_ *cobra.Command, args []string) error {
			return repository.Merge(args[0], args[1:]...)
		},
	}
}

func newPublish(p *place) *cobra.Command {
	var online string
	var renew bool
	var days int
	c := &cobra.Command{
		Use:   "publish",
		Short: "Put what is staged and signed in force",
		Long: `Put what is staged and signed in force.

Nothing is changed unless enough keys have signed. Snapshot and timestamp are signed
with the online key. Have a timer run it every day, also when nothing is staged: it
renews what has 15 days left.`,
		Example: "  weir-bundle publish --online-key keys/online.key",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if days < 1 {
				return usageError{fmt.Errorf("days count from 1")}
			}
			by, err := repository.LoadSigner(online)
			if err != nil {
				return err
			}
			done, err := (&repository.Repository{Dir: p.repository}).Publish(by, p.now, p.after(days).Sub(p.now), renew)
			if err == nil {
				printPublished(c.OutOrStdout(), p.repository, done)
			}
			return err
		},
	}
	c.Flags().StringVar(&online, "online-key", "", "`FILE` of the private online key")
	c.Flags().BoolVar(&renew, "renew", false, "renew snapshot and timestamp even if they are not old")
	c.Flags().IntVar(&days, "days", int(repository.OnlineLife/(24*time.Hour)), "how long snapshot and timestamp are valid")
	must(c.MarkFlagRequired("online-key"))
	return c
}

// must is for what fails only when the program is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
