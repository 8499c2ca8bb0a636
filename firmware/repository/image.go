package repository

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/release"
	"weir/image/manifest"
)

// describe measures the files of an image folder, and compares them with what its
// manifest says.
func describe(image string) (m manifest.Manifest, files []release.File, err error) {
	if m, err = manifest.Read(image); err != nil {
		return m, nil, err
	}
	if err := release.CheckVersion(m.Version); err != nil {
		return m, nil, fmt.Errorf("%s: %w", image, err)
	}
	for _, name := range release.Names {
		f, err := hashFile(filepath.Join(image, name))
		if err != nil {
			return m, nil, err
		}
		f.Name = name
		want, described := m.Output(name)
		switch {
		case f.Size == 0 || f.Size > release.MaxFile:
			return m, nil, fmt.Errorf("%s of %s has %d bytes; a file of a release has 1 to %d", name, image, f.Size, release.MaxFile)
		case name == release.Manifest:
		case !described, want.SHA256 != f.SHA256, want.Size != f.Size:
			return m, nil, fmt.Errorf("%s is not the file that %s in %s describes: run make image again", name, manifest.File, image)
		}
		files = append(files, f)
	}
	return m, files, nil
}

// checkTrust refuses an image that trusts other keys than those of the repository:
// nodes that took it could never be updated from here again.
func (r *Repository) checkTrust(image string, m manifest.Manifest) error {
	if m.TrustedRoot == "" {
		return nil // the image of a test
	}
	last, err := newest(filepath.Join(r.Dir, "metadata"), metadata.ROOT)
	if err != nil {
		return err
	}
	for version := int64(1); version <= last; version++ {
		f, err := hashFile(r.published(fmt.Sprintf("%d.root.json", version)))
		if err != nil {
			return err
		}
		if f.SHA256 == m.TrustedRoot {
			return nil
		}
	}
	return fmt.Errorf("%s trusts a root that is none of %s: build it with make image TRUST=%s", image, r.Dir, r.published("1.root.json"))
}

func hashFile(path string) (f release.File, err error) {
	in, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer in.Close()
	h := sha256.New()
	f.Size, err = io.Copy(h, in)
	f.SHA256 = hex.EncodeToString(h.Sum(nil))
	return f, err
}

// copyFile copies to a name that says what is in it, so what is there is right.
func copyFile(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to + ".part")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return os.Rename(out.Name(), to)
}
