package repository

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/release"
)

// Add stages targets with the release of an image folder, which replaces one of
// the same version. The files are copied into the repository. Without a floor it
// stays as it is; it is never lowered.
func (r *Repository) Add(image, floor string, expires time.Time) (path string, err error) {
	m, files, err := describe(image)
	if err != nil {
		return "", err
	}
	if err := r.checkTrust(image, m); err != nil {
		return "", err
	}
	version := m.Version
	if floor != "" {
		if err := release.CheckVersion(floor); err != nil {
			return "", fmt.Errorf("floor: %w", err)
		}
		if release.Compare(floor, version) > 0 {
			return "", fmt.Errorf("the floor %s is above the release itself, %s", floor, version)
		}
	}
	for _, f := range files {
		if err := copyFile(filepath.Join(image, f.Name), r.target(f.Stored())); err != nil {
			return "", err
		}
	}
	return r.stageTargets(expires, func(list map[string]*metadata.TargetFiles) error {
		before, err := floorOf(list)
		if err != nil {
			return err
		}
		switch {
		case floor == "":
			floor = before
		case before != "" && release.Compare(floor, before) < 0:
			return fmt.Errorf("the floor is %s already, and is never lowered", before)
		}
		remove(list, version)
		for _, f := range files {
			list[version+"/"+f.Name] = targetOf(f, version)
		}
		return raise(list, floor)
	})
}

// Remove stages targets without a version.
func (r *Repository) Remove(version string, expires time.Time) (string, error) {
	return r.stageTargets(expires, func(list map[string]*metadata.TargetFiles) error {
		if !remove(list, version) {
			return fmt.Errorf("%s has no release %s", r.Dir, version)
		}
		return nil
	})
}

// Renew stages the same targets with a later expiry.
func (r *Repository) Renew(expires time.Time) (string, error) {
	return r.stageTargets(expires, func(map[string]*metadata.TargetFiles) error { return nil })
}

// stageTargets changes what is staged already, or else what is published. Its
// signatures are gone: they were for something else.
func (r *Repository) stageTargets(expires time.Time, change func(map[string]*metadata.TargetFiles) error) (string, error) {
	version := int64(1)
	t, err := r.targets()
	switch {
	case errors.Is(err, ErrNothing):
		t = metadata.Targets()
	case err != nil:
		return "", err
	default:
		version = t.Signed.Version + 1
	}
	staged, err := load[metadata.TargetsType](filepath.Join(r.Dir, "staged"), metadata.TARGETS)
	switch {
	case err == nil && staged.Signed.Version == version:
		t = staged
	case err != nil && !errors.Is(err, ErrNothing):
		return "", err
	}
	t.Signed.Version = version
	t.Signed.Expires = seconds(expires)
	t.ClearSignatures()
	if err := change(t.Signed.Targets); err != nil {
		return "", err
	}
	path := r.staged(fmt.Sprintf("%d.targets.json", version))
	return path, write(path, t)
}

func remove(list map[string]*metadata.TargetFiles, version string) (found bool) {
	for path := range list {
		if strings.HasPrefix(path, version+"/") {
			delete(list, path)
			found = true
		}
	}
	return found
}

// floorOf is the highest floor of a list.
func floorOf(list map[string]*metadata.TargetFiles) (floor string, err error) {
	for path, t := range list {
		c, err := customOf(t)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if c.Floor != "" && (floor == "" || release.Compare(c.Floor, floor) > 0) {
			floor = c.Floor
		}
	}
	return floor, nil
}

// raise writes the floor into every release: it holds from now on, whichever is
// installed next and whichever is removed.
func raise(list map[string]*metadata.TargetFiles, floor string) error {
	for _, t := range list {
		c, err := customOf(t)
		if err != nil {
			return err
		}
		c.Floor = floor
		setCustom(t, c)
	}
	return nil
}

func customOf(t *metadata.TargetFiles) (c release.Custom, err error) {
	if t.Custom == nil {
		return c, errors.New("not a file of a release")
	}
	return c, json.Unmarshal(*t.Custom, &c)
}

func setCustom(t *metadata.TargetFiles, c release.Custom) {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // three strings
	}
	raw := json.RawMessage(text)
	t.Custom = &raw
}

// targetOf is what targets.json says of a file. Its floor comes with that of all.
func targetOf(f release.File, version string) *metadata.TargetFiles {
	hash, err := hex.DecodeString(f.SHA256)
	if err != nil {
		panic(err) // our own
	}
	t := &metadata.TargetFiles{Length: f.Size, Hashes: metadata.Hashes{"sha256": hash}}
	setCustom(t, release.Custom{Compatible: release.Compatible, Version: version})
	return t
}
