// Package wholefile writes files that a power cut leaves whole.
package wholefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Replace writes a file of mode 0600 so that after a power cut at any
// moment it has either its old content or the new one, whole.
func Replace(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("replace %s: %w", path, err)
	}
	// The new name itself must reach the disk (fsync(2)).
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}
