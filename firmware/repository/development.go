package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Development keys: two of three sign roots, two of three sign targets. They lie
// in one folder, so they protect nothing but the code that uses them.
const (
	developmentKeys = 3
	developmentNeed = 2
	// developmentLife is longer than that of real roots: nobody renews it.
	developmentLife = 10 * RootLife
)

// Development is a folder of development keys.
type Development struct {
	Dir string
}

// RootFile is the trusted root that belongs to the keys.
func (d Development) RootFile() string { return filepath.Join(d.Dir, "root.json") }

func (d Development) key(role string, i int) string {
	return filepath.Join(d.Dir, fmt.Sprintf("%s-%d%s", role, i, PrivateEnding))
}

func (d Development) onlineKey() string { return filepath.Join(d.Dir, "online"+PrivateEnding) }

// Create makes keys and root.json, unless they are there.
func (d Development) Create(now time.Time) (created bool, err error) {
	if _, err := os.Stat(d.RootFile()); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return false, err
	}
	var roles Roles
	for i := range developmentKeys {
		for role, list := range map[string]*[]*metadata.Key{metadata.ROOT: &roles.Root, metadata.TARGETS: &roles.Targets} {
			k, err := d.add(d.key(role, i+1))
			if err != nil {
				return false, err
			}
			*list = append(*list, k)
		}
	}
	if roles.Online, err = d.add(d.onlineKey()); err != nil {
		return false, err
	}
	roles.RootThreshold, roles.TargetsThreshold = developmentNeed, developmentNeed
	made, err := os.MkdirTemp(d.Dir, "root-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(made)
	path, err := (&Repository{Dir: made}).StageRoot(roles, now.Add(developmentLife))
	if err != nil {
		return false, err
	}
	if err := d.Sign(path); err != nil {
		return false, err
	}
	return true, os.Rename(path, d.RootFile())
}

// add makes a key, or takes the one that an interrupted Create has left.
func (d Development) add(path string) (*metadata.Key, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := NewKey(path); err != nil {
			return nil, err
		}
	}
	s, err := LoadSigner(path)
	if err != nil {
		return nil, fmt.Errorf("%w (or remove %s: new keys will be made)", err, d.Dir)
	}
	return s.Public, nil
}

// Sign signs a staged file with as many keys as its role needs.
func (d Development) Sign(path string) error {
	f, err := readSignable(path)
	if err != nil {
		return err
	}
	for i := range developmentNeed {
		by, err := LoadSigner(d.key(f.role, i+1))
		if err != nil {
			return err
		}
		if err := Sign(path, by); err != nil {
			return err
		}
	}
	return nil
}

// Release brings a repository to the release of an image folder, with everything
// signed. It does nothing that has been done before.
func (d Development) Release(r *Repository, image, floor string, now time.Time) (Published, error) {
	if err := d.adopt(r); err != nil {
		return Published{}, err
	}
	if there, err := r.has(image, floor, now); err != nil {
		return Published{}, err
	} else if !there {
		path, err := r.Add(image, floor, now.Add(TargetsLife))
		if err != nil {
			return Published{}, err
		}
		if err := d.Sign(path); err != nil {
			return Published{}, err
		}
	}
	online, err := LoadSigner(d.onlineKey())
	if err != nil {
		return Published{}, err
	}
	return r.Publish(online, now, OnlineLife, false)
}

// adopt gives a new repository the root of the keys, and refuses one of other keys.
func (d Development) adopt(r *Repository) error {
	mine, err := os.ReadFile(d.RootFile())
	if err != nil {
		return fmt.Errorf("no development keys (make them with weir-bundle keys): %w", err)
	}
	theirs, err := os.ReadFile(r.published("1.root.json"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return writeText(r.published("1.root.json"), mine)
	case err != nil:
		return err
	case string(mine) != string(theirs):
		return fmt.Errorf("%s was made with other keys than those in %s: remove it, and it is made anew", r.Dir, d.Dir)
	}
	return nil
}

// has says that the repository has just this image, with half of its time ahead.
func (r *Repository) has(image, floor string, now time.Time) (bool, error) {
	t, err := r.targets()
	if errors.Is(err, ErrNothing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, files, err := describe(image)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		there := t.Signed.Targets[m.Version+"/"+f.Name]
		if there == nil || there.Hashes["sha256"].String() != f.SHA256 {
			return false, nil
		}
		if c, err := customOf(there); err != nil || floor != "" && c.Floor != floor {
			return false, err
		}
	}
	return now.Add(TargetsLife / 2).Before(t.Signed.Expires), nil
}
