package bundle

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/firmware/release"
)

// Write makes a bundle of a release from the folder of a published repository.
// Equal repositories make equal bundles.
func Write(out io.Writer, dir string, r release.Release, progress func(bytes int64)) error {
	names, err := contents(dir, r)
	if err != nil {
		return err
	}
	t := tar.NewWriter(out)
	var done int64
	for _, name := range names {
		n, err := add(t, dir, name)
		if err != nil {
			return fmt.Errorf("bundle %s: %w", name, err)
		}
		done += n
		progress(done)
	}
	return t.Close()
}

// contents names the files: every root, so that a node with an old one can
// follow, the newest of the other metadata, and the release.
func contents(dir string, r release.Release) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "metadata"))
	if err != nil {
		return nil, err
	}
	newest := map[string]string{}
	for _, e := range entries {
		name := "metadata/" + e.Name()
		role := strings.TrimLeft(e.Name(), "0123456789.")
		switch {
		case !metadataName.MatchString(name):
		case role == "root.json":
			names = append(names, name)
		case newest[role] == "" || byNumber(newest[role], name) < 0:
			newest[role] = name
		}
	}
	slices.SortFunc(names, byNumber)
	for _, role := range []string{"timestamp.json", "snapshot.json", "targets.json"} {
		if newest[role] == "" {
			return nil, fmt.Errorf("%s has no %s: publish it first (weir-bundle publish)", dir, role)
		}
		names = append(names, newest[role])
	}
	for _, f := range r.Files {
		names = append(names, "targets/"+f.Stored())
	}
	return names, nil
}

// byNumber orders names that begin with numbers without leading zeros.
func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func add(t *tar.Writer, dir, name string) (int64, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
		return 0, err
	}
	return io.Copy(t, f)
}
