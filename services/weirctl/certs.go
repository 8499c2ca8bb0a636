package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weir/services/identity"
)

// newCerts makes the commands for a cluster's certificates. They need no
// network: an authority lives in a folder, best on a machine of its own.
func newCerts() *cobra.Command {
	return group("certs", "Make the certificates of a cluster", newCreateCA(), newIssue())
}

func newCreateCA() *cobra.Command {
	var cluster string
	c := &cobra.Command{
		Use:     "create-ca DIR",
		Short:   "Make the certificate authority of a cluster",
		Long:    "Make the certificate authority of a cluster: DIR/ca.crt, for everybody, and DIR/ca.key,\nfor nobody: who has it can be anybody.",
		Example: "  weirctl certs create-ca --cluster lab ./pki",
		Args:    exactly("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if cluster == "" {
				return &coded{fmt.Errorf("name the cluster as its file does: --cluster NAME"), exitUsage}
			}
			if err := identity.CreateCA(args[0], cluster); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is the authority of cluster %s\n", args[0], cluster)
			return nil
		},
	}
	c.Flags().StringVar(&cluster, "cluster", "", "the cluster's `NAME`, as in its file")
	return c
}

func newIssue() *cobra.Command {
	var dir string
	var addresses []string
	c := &cobra.Command{
		Use:   "issue ROLE ID",
		Short: "Make a certificate for a node, server, operator, configd or provisiond",
		Long: `Make a certificate for a node, server, operator, configd or provisiond:
DIR/ROLE-ID.crt and DIR/ROLE-ID.key. Whoever is called needs the addresses that it
is called by: configd and provisiond always, a node for its admin interface.`,
		Example: `  weirctl certs issue --dir ./pki configd main --address 10.30.0.2
  weirctl certs issue --dir ./pki node lb1 --address 10.20.0.11
  weirctl certs issue --dir ./pki operator me`,
		Args: exactly("ROLE", "ID"),
		RunE: func(c *cobra.Command, args []string) error {
			role := identity.Role(args[0])
			f, err := identity.Issue(dir, role, args[1], addresses)
			if err != nil {
				return err
			}
			if (role == identity.Configd || role == identity.Provisiond) && len(addresses) == 0 {
				fmt.Fprintf(c.ErrOrStderr(), "warning: without --address nobody can call this %s\n", role)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s\n%s\n", f.Cert, f.Key)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "`DIR` of the authority")
	c.Flags().StringSliceVar(&addresses, "address", nil, "IP address or host name, may be repeated")
	return c
}
