package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Repository is a folder of one.
type Repository struct {
	Dir string
}

type (
	rootFile      = metadata.Metadata[metadata.RootType]
	targetsFile   = metadata.Metadata[metadata.TargetsType]
	snapshotFile  = metadata.Metadata[metadata.SnapshotType]
	timestampFile = metadata.Metadata[metadata.TimestampType]
)

// ErrNothing says that a role has no file yet.
var ErrNothing = errors.New("not there yet")

func (r *Repository) published(name string) string { return filepath.Join(r.Dir, "metadata", name) }
func (r *Repository) staged(name string) string    { return filepath.Join(r.Dir, "staged", name) }
func (r *Repository) target(name string) string    { return filepath.Join(r.Dir, "targets", name) }

var numbered = regexp.MustCompile(`^([1-9][0-9]{0,9})\.(root|snapshot|targets)\.json$`)

// newest is the highest version of a role's files in a folder; 0: none.
func newest(dir, role string) (version int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	for _, e := range entries {
		if m := numbered.FindStringSubmatch(e.Name()); m != nil && m[2] == role {
			n, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return 0, err
			}
			version = max(version, n)
		}
	}
	return version, nil
}

// HasRoot says that a root has been published.
func (r *Repository) HasRoot() (bool, error) {
	version, err := newest(filepath.Join(r.Dir, "metadata"), metadata.ROOT)
	return version > 0, err
}

// root is the newest one published.
func (r *Repository) root() (*rootFile, error) {
	return load[metadata.RootType](filepath.Join(r.Dir, "metadata"), metadata.ROOT)
}

// targets are the newest published.
func (r *Repository) targets() (*targetsFile, error) {
	return load[metadata.TargetsType](filepath.Join(r.Dir, "metadata"), metadata.TARGETS)
}

// load reads the newest file of a role in a folder; its error is ErrNothing if
// there is none.
func load[T metadata.Roles](dir, role string) (*metadata.Metadata[T], error) {
	version, err := newest(dir, role)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fmt.Sprintf("%d.%s.json", version, role))
	if role == metadata.TIMESTAMP {
		path = filepath.Join(dir, "timestamp.json")
		if _, err := os.Stat(path); err == nil {
			version = 1
		}
	}
	if version == 0 {
		return nil, fmt.Errorf("%s in %s: %w", role, dir, ErrNothing)
	}
	m, err := new(metadata.Metadata[T]).FromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// write replaces a file as a whole.
func write[T metadata.Roles](path string, m *metadata.Metadata[T]) error {
	text, err := m.ToBytes(true)
	if err != nil {
		return err
	}
	return writeText(path, append(text, '\n'))
}

func writeText(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, text, 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// seconds is a time as metadata has it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
