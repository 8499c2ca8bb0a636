package repository

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/trust"
)

// Standing is how far the signing of a root or targets file has come.
type Standing struct {
	File    string    `json:"file"` // below the repository's folder
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	Staged  bool      `json:"staged"`
	Wanted  []Wanted  `json:"wanted"`
}

// Wanted are the signatures that one root wants of a file.
type Wanted struct {
	Root    int64    `json:"root"`      // its version
	Need    int      `json:"threshold"` // how many keys have to sign
	Signed  []string `json:"signed"`    // identifiers of keys whose signature fits
	Missing []string `json:"missing"`   // of the others
}

// Enough says that no more signatures are needed.
func (s Standing) Enough() bool {
	for _, w := range s.Wanted {
		if len(w.Signed) < w.Need {
			return false
		}
	}
	return true
}

// Status lists the root and the targets in force, and those that are staged.
func (r *Repository) Status() (list []Standing, err error) {
	root, err := r.root()
	switch {
	case err == nil:
		list = append(list, standing("metadata", metadata.ROOT, root, root.Signed.Version, root.Signed.Expires, root))
	case !errors.Is(err, ErrNothing):
		return nil, err
	}
	targets, err := r.targets()
	switch {
	case err == nil:
		list = append(list, standing("metadata", metadata.TARGETS, targets, targets.Signed.Version, targets.Signed.Expires, root))
	case !errors.Is(err, ErrNothing):
		return nil, err
	}
	next, err := load[metadata.RootType](filepath.Join(r.Dir, "staged"), metadata.ROOT)
	switch {
	case err == nil:
		list = append(list, standing("staged", metadata.ROOT, next, next.Signed.Version, next.Signed.Expires, root, next))
		root = next
	case !errors.Is(err, ErrNothing):
		return nil, err
	}
	staged, err := load[metadata.TargetsType](filepath.Join(r.Dir, "staged"), metadata.TARGETS)
	switch {
	case err == nil:
		list = append(list, standing("staged", metadata.TARGETS, staged, staged.Signed.Version, staged.Signed.Expires, root))
	case !errors.Is(err, ErrNothing):
		return nil, err
	}
	return list, nil
}

// standing asks every root whose signatures the file wants; those that are not
// there are left out.
func standing(folder, role string, file any, version int64, expires time.Time, roots ...*rootFile) Standing {
	s := Standing{File: fmt.Sprintf("%s/%d.%s.json", folder, version, role), Role: role, Version: version, Expires: expires, Staged: folder == "staged", Wanted: []Wanted{}}
	for _, root := range roots {
		if root == nil {
			continue
		}
		w := Wanted{Root: root.Signed.Version, Need: root.Signed.Roles[role].Threshold, Signed: []string{}, Missing: []string{}}
		for _, id := range root.Signed.Roles[role].KeyIDs {
			if trust.SignedBy(id, role, file, root) {
				w.Signed = append(w.Signed, id)
			} else {
				w.Missing = append(w.Missing, id)
			}
		}
		s.Wanted = append(s.Wanted, w)
	}
	return s
}
