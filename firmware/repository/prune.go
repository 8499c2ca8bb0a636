package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/release"
)

// prune removes what neither the present targets nor those before them need:
// somebody may be in the middle of a download. Roots are kept for ever, since old
// nodes go from one to the next.
func (r *Repository) prune() error {
	dir := filepath.Join(r.Dir, "metadata")
	keep := map[string]bool{}
	for _, role := range []string{metadata.SNAPSHOT, metadata.TARGETS} {
		last, err := newest(dir, role)
		if err != nil {
			return err
		}
		entries, err := filepath.Glob(filepath.Join(dir, "*."+role+".json"))
		if err != nil {
			return err
		}
		for _, path := range entries {
			m := numbered.FindStringSubmatch(filepath.Base(path))
			if m == nil {
				continue
			}
			if n, err := strconv.ParseInt(m[1], 10, 64); err != nil || n < last-1 {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
		}
		if role == metadata.TARGETS {
			for version := max(1, last-1); version <= last; version++ {
				if err := r.needed(version, keep); err != nil {
					return err
				}
			}
		}
	}
	files, err := os.ReadDir(filepath.Join(r.Dir, "targets"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if !keep[f.Name()] {
			if err := os.Remove(r.target(f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// needed adds the names of the files of a targets version.
func (r *Repository) needed(version int64, keep map[string]bool) error {
	t, err := metadata.Targets().FromFile(r.published(fmt.Sprintf("%d.targets.json", version)))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for path, f := range t.Signed.Targets {
		keep[release.File{Name: filepath.Base(path), SHA256: f.Hashes["sha256"].String()}.Stored()] = true
	}
	return nil
}
