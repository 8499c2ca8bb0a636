package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weir/firmware/secureboot"
)

func newSecureBoot(p *place) *cobra.Command {
	return group("secureboot", "Make keys of UEFI Secure Boot, and enrol them in a virtual machine", secureBootKeys(p), secureBootEnrol())
}

func secureBootKeys(p *place) *cobra.Command {
	var k secureboot.Keys
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make the keys PK, KEK and db, unless they are there",
		Long: `Make the keys PK, KEK and db, unless they are there.

NAME.key is secret, NAME.cer is what the menus of firmware take. Whoever has db.key
makes what machines with these keys start. To sign an image: make image SIGN=FOLDER.`,
		Example: "  weir-bundle secureboot keys\n  weir-bundle secureboot keys --keys /media/key/secureboot",
		Args:    takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			made, err := k.Create(p.now)
			if err == nil && made {
				fmt.Fprintf(c.OutOrStdout(), "made keys of Secure Boot in %s\n", k.Dir)
			}
			return err
		},
	}
	addSecureKeys(c, &k)
	return c
}

func secureBootEnrol() *cobra.Command {
	var k secureboot.Keys
	c := &cobra.Command{
		Use:   "enrol EMPTY OUTPUT",
		Short: "Write variables of OVMF that hold the keys: Secure Boot is on with them",
		Long: `Write variables of OVMF that hold the keys: Secure Boot is on with them.

EMPTY is a file of variables without any keys, as Debian's package ovmf has it.`,
		Example: "  weir-bundle secureboot enrol /usr/share/OVMF/OVMF_VARS_4M.fd build/secureboot/vars.fd",
		Args:    takes("EMPTY", "OUTPUT"),
		RunE: func(_ *cobra.Command, args []string) error {
			empty, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			enrolled, err := k.Enrol(empty)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return os.WriteFile(args[1], enrolled, 0o644)
		},
	}
	addSecureKeys(c, &k)
	return c
}

func addSecureKeys(c *cobra.Command, k *secureboot.Keys) {
	c.Flags().StringVar(&k.Dir, "keys", "build/secureboot", "`FOLDER` of the keys")
}
