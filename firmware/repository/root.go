package repository

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Roles are the keys of a root. What is empty stays as in the root before.
type Roles struct {
	Root, Targets []*metadata.Key
	// How many of them have to sign.
	RootThreshold, TargetsThreshold int
	// Online signs snapshots and timestamps. It lies where releases are published;
	// with it alone nobody can make a release.
	Online *metadata.Key
}

// StageRoot makes the next root, or the first one, for signing. It gives the path
// of the staged file. A root that was staged before is replaced.
func (r *Repository) StageRoot(roles Roles, expires time.Time) (string, error) {
	next, err := r.root()
	switch {
	case errors.Is(err, ErrNothing):
		next = metadata.Root()
		if len(roles.Root) == 0 || len(roles.Targets) == 0 || roles.Online == nil {
			return "", errors.New("the first root needs keys for root, targets and online")
		}
	case err != nil:
		return "", err
	default:
		next.ClearSignatures()
		next.Signed.Version++
	}
	next.Signed.Expires = seconds(expires)
	if err := assign(next, metadata.ROOT, roles.Root, roles.RootThreshold); err != nil {
		return "", err
	}
	if err := assign(next, metadata.TARGETS, roles.Targets, roles.TargetsThreshold); err != nil {
		return "", err
	}
	if roles.Online != nil {
		for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
			if err := assign(next, role, []*metadata.Key{roles.Online}, 1); err != nil {
				return "", err
			}
		}
	}
	forget(next)
	path := r.staged(fmt.Sprintf("%d.root.json", next.Signed.Version))
	return path, write(path, next)
}

// assign gives a role its keys and threshold; without keys only the threshold
// changes, and only if there is one.
func assign(root *rootFile, role string, keys []*metadata.Key, threshold int) error {
	to := root.Signed.Roles[role]
	if len(keys) > 0 {
		to.KeyIDs = nil
	}
	for _, k := range keys {
		id, err := k.ID()
		if err != nil {
			return err
		}
		if slices.Contains(to.KeyIDs, id) {
			return fmt.Errorf("the key %.16s is given twice for %s", id, role)
		}
		to.KeyIDs = append(to.KeyIDs, id)
		root.Signed.Keys[id] = k
	}
	if threshold > 0 {
		to.Threshold = threshold
	}
	if to.Threshold > len(to.KeyIDs) {
		return fmt.Errorf("%s would need %d signatures and has %d keys: give more keys, or a lower threshold", role, to.Threshold, len(to.KeyIDs))
	}
	return nil
}

// forget takes out keys that no role has any more.
func forget(root *rootFile) {
	for id := range root.Signed.Keys {
		used := false
		for _, role := range root.Signed.Roles {
			used = used || slices.Contains(role.KeyIDs, id)
		}
		if !used {
			delete(root.Signed.Keys, id)
		}
	}
}
