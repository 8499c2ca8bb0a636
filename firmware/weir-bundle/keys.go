package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/firmware/repository"
)

// developmentDir is where development keys lie; it is never committed.
const developmentDir = "build/keys"

func newKeys(p *place) *cobra.Command {
	var d repository.Development
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make development keys and their root, unless they are there",
		Long: `Make development keys and their root, unless they are there.

They lie in one folder, so they protect nothing. An image that trusts them is for
trying things, never for machines that serve.`,
		Example: "  weir-bundle keys\n  weir-bundle keys --keys /tmp/keys",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			made, err := d.Create(p.now)
			if err == nil && made {
				fmt.Fprintf(c.OutOrStdout(), "made development keys and %s\n", d.RootFile())
			}
			return err
		},
	}
	c.Flags().StringVar(&d.Dir, "keys", developmentDir, "`FOLDER` of the development keys")
	return c
}

func newKey() *cobra.Command {
	return group("key", "Make a key, or name it by its identifier",
		&cobra.Command{
			Use:   "new NAME",
			Short: "Make an Ed25519 key: NAME.key, to be kept, and NAME.pub, to be given away",
			Long: `Make an Ed25519 key: NAME.key, to be kept, and NAME.pub, to be given away.

Nothing is replaced. Make keys on the machine, or the medium, on which they stay.`,
			Example: "  weir-bundle key new /media/key/alice",
			Args:    takes("NAME"),
			RunE: func(c *cobra.Command, args []string) error {
				if err := repository.NewKey(args[0]); err != nil {
					return err
				}
				return showKey(c, args[0]+repository.PublicEnding)
			},
		},
		&cobra.Command{
			Use:     "show FILE.pub",
			Short:   "Print the identifier by which metadata names a key",
			Example: "  weir-bundle key show alice.pub",
			Args:    takes("FILE.pub"),
			RunE:    func(c *cobra.Command, args []string) error { return showKey(c, args[0]) },
		})
}

func showKey(c *cobra.Command, path string) error {
	k, err := repository.LoadPublic(path)
	if err != nil {
		return err
	}
	id, err := k.ID()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.OutOrStdout(), id, path)
	return nil
}
