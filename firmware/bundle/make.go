package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/firmware/release"
	"weir/firmware/trust"
)

// Made is what Make has done.
type Made struct {
	Release release.Release
	Path    string
	Size    int64 // bytes
	Changed bool  // false: it was there already
}

// Make writes DIR/weir-VERSION.bundle from the repository in folder; without a
// version, of its newest release. The repository is verified as a node would do,
// which began with its first root. A bundle that is there and would become the
// same is left alone.
func Make(ctx context.Context, folder, version, dir string, now time.Time, progress func(bytes, of int64)) (m Made, err error) {
	src, err := trust.OpenFolder(folder)
	if err != nil {
		return m, err
	}
	defer src.Close()
	root, err := src.Metadata(ctx, "1.root.json", trust.MaxRoot)
	if err != nil {
		return m, fmt.Errorf("%s has no root: make one with weir-bundle root new: %w", folder, err)
	}
	catalog, err := trust.Verifier{Root: root, Now: now}.Refresh(ctx, src)
	if err != nil {
		return m, err
	}
	if m.Release, err = catalog.Select(src, version, release.Compatible); err != nil {
		return m, err
	}
	m.Path = filepath.Join(dir, "weir-"+m.Release.Version+".bundle")
	if m.Size, err = current(m.Path, folder, m.Release); err != nil || m.Size > 0 {
		return m, err
	}
	if err := trust.CheckFiles(ctx, src, m.Release, nil); err != nil {
		return m, err
	}
	m.Changed = true
	m.Size, err = writeFile(m.Path, folder, m.Release, progress)
	return m, err
}

// current is the size of the bundle at path if it holds what it has to, else 0.
func current(path, folder string, r release.Release) (int64, error) {
	b, err := OpenFile(path)
	if err != nil {
		return 0, nil // not there, or not a bundle: it is made
	}
	defer b.Close()
	names, err := contents(folder, r)
	if err != nil {
		return 0, err
	}
	there := b.Entries()
	if !slices.EqualFunc(names, there, func(name string, e Entry) bool { return name == e.Name }) {
		return 0, nil
	}
	// Names of targets and versions of metadata say what is in them, that of the
	// timestamp does not.
	want, err := os.ReadFile(filepath.Join(folder, "metadata/timestamp.json"))
	if err != nil {
		return 0, err
	}
	have, err := b.Metadata(context.Background(), "timestamp.json", trust.MaxTimestamp)
	if err != nil || !bytes.Equal(have, want) {
		return 0, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// writeFile lets the bundle appear when it is complete.
func writeFile(path, folder string, r release.Release, progress func(bytes, of int64)) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, err
	}
	part := path + ".part"
	out, err := os.Create(part)
	if err != nil {
		return 0, err
	}
	err = Write(out, folder, r, func(n int64) {
		if progress != nil {
			progress(n, r.Size())
		}
	})
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(part))
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
