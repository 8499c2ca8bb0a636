package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/repository"
)

// newRootRole are the commands for the root: which keys sign what.
func newRootRole(p *place) *cobra.Command {
	return group("root", "Say which keys have to sign what", rootCommand(p, "new"), rootCommand(p, "next"))
}

// rootFlags are what a root consists of; what is empty stays as it was.
type rootFlags struct {
	root, targets                   []string
	rootThreshold, targetsThreshold int
	online                          string
	days                            int
}

func rootCommand(p *place, use string) *cobra.Command {
	var f rootFlags
	c := &cobra.Command{Use: use, Args: takes()}
	flags := c.Flags()
	flags.StringSliceVar(&f.root, "root-keys", nil, "`FILES` of public keys that sign roots")
	flags.IntVar(&f.rootThreshold, "root-threshold", 0, "how many of them have to")
	flags.StringSliceVar(&f.targets, "targets-keys", nil, "`FILES` of public keys that sign releases")
	flags.IntVar(&f.targetsThreshold, "targets-threshold", 0, "how many of them have to")
	flags.StringVar(&f.online, "online-key", "", "`FILE` of the public key that signs snapshots and timestamps")
	flags.IntVar(&f.days, "days", int(repository.RootLife/(24*time.Hour)), "how long it is valid")
	if use == "new" {
		c.Short = "Stage the first root of a new repository"
		c.Long = c.Short + `.

It is signed with weir-bundle sign and put in force with weir-bundle publish. Copy
what was published, metadata/1.root.json, into images: make image TRUST=FILE.`
		c.Example = "  weir-bundle root new --root-keys a.pub,b.pub,c.pub --root-threshold 2 \\\n" +
			"    --targets-keys d.pub,e.pub,f.pub --targets-threshold 2 --online-key online.pub"
	} else {
		c.Short = "Stage the next root: other keys, thresholds, or only more time"
		c.Long = c.Short + `.

The keys of the root before have to sign it, and its own: sign it with keys of both.
What is not given stays as it is; a list of keys replaces the whole list.`
		c.Example = "  weir-bundle root next\n" +
			"  weir-bundle root next --targets-keys d.pub,e.pub,new.pub"
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		r := &repository.Repository{Dir: p.repository}
		if there, err := r.HasRoot(); err != nil {
			return err
		} else if use == "new" && there {
			return fmt.Errorf("%s has a root already: stage another with weir-bundle root next", r.Dir)
		} else if use == "next" && !there {
			return fmt.Errorf("%s has no root: make one with weir-bundle root new", r.Dir)
		}
		roles, err := f.roles()
		if err != nil {
			return err
		}
		return staged(c)(r.StageRoot(roles, p.after(f.days)))
	}
	return c
}

// after is the end of a life that begins now.
func (p *place) after(days int) time.Time { return p.now.Add(time.Duration(days) * 24 * time.Hour) }

// staged says what to do with a staged file.
func staged(c *cobra.Command) func(path string, err error) error {
	return func(path string, err error) error {
		if err == nil {
			fmt.Fprintf(c.OutOrStdout(), "staged %s; sign it: weir-bundle sign %s --key KEY\n", path, path)
		}
		return err
	}
}

func (f rootFlags) roles() (r repository.Roles, err error) {
	if f.days < 1 || f.rootThreshold < 0 || f.targetsThreshold < 0 {
		return r, usageError{fmt.Errorf("thresholds and days count from 1")}
	}
	r.RootThreshold, r.TargetsThreshold = f.rootThreshold, f.targetsThreshold
	if r.Root, err = loadKeys(f.root); err != nil {
		return r, err
	}
	if r.Targets, err = loadKeys(f.targets); err != nil {
		return r, err
	}
	if f.online != "" {
		r.Online, err = repository.LoadPublic(f.online)
	}
	return r, err
}

func loadKeys(paths []string) (list []*metadata.Key, err error) {
	for _, path := range paths {
		k, err := repository.LoadPublic(path)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}
