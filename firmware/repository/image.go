package repository

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weir/firmware/release"
	"weir/image/manifest"
)

// describe measures the files of an image folder, and compares them with what its
// manifest says.
func describe(image string) (version string, files []release.File, err error) {
	m, err := manifest.Read(image)
	if err != nil {
		return "", nil, err
	}
	if err := release.CheckVersion(m.Version); err != nil {
		return "", nil, fmt.Errorf("%s: %w", image, err)
	}
	for _, name := range release.Names {
		f, err := hashFile(filepath.Join(image, name))
		if err != nil {
			return "", nil, err
		}
		f.Name = name
		want, described := m.Output(name)
		switch {
		case f.Size == 0 || f.Size > release.MaxFile:
			return "", nil, fmt.Errorf("%s of %s has %d bytes; a file of a release has 1 to %d", name, image, f.Size, release.MaxFile)
		case name == release.Manifest:
		case !described, want.SHA256 != f.SHA256, want.Size != f.Size:
			return "", nil, fmt.Errorf("%s is not the file that %s in %s describes: run make image again", name, manifest.File, image)
		}
		files = append(files, f)
	}
	return m.Version, files, nil
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
