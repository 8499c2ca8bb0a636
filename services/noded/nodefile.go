package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"weir/services/config"
	"weir/services/wholefile"
)

// The machine's configuration that worked last is kept twice: the file is for
// init, which opens no database, and for when the database is lost (S-102).
const (
	nodeFileKey      = "node.yaml"
	nodeFileLastGood = "node.yaml.last-good"
)

// sourceOf is the text of a configuration as the operator wrote it.
func sourceOf(path string) ([]byte, error) {
	text, err := os.ReadFile(path + config.SourceSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return os.ReadFile(path) // init had no hand in it
	}
	return text, err
}

// keepNodeFile keeps the configuration that this machine runs with. It is called
// once the dataplane forwards with it: what only noded gets along with is not good.
func (f *front) keepNodeFile() {
	if f.file.Machine == nil {
		return // nobody boots from it
	}
	path := filepath.Join(f.file.StateDir, nodeFileLastGood)
	var errs []error
	if old, err := f.db.Get(nodeFileKey); err != nil || !bytes.Equal(old, f.text) {
		errs = append(errs, err, f.db.Put(nodeFileKey, f.text))
	}
	if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, f.text) {
		errs = append(errs, wholefile.Replace(path, f.text))
	}
	if err := errors.Join(errs...); err != nil {
		f.log.Warn("keep the last good node configuration", "error", err)
	}
}
