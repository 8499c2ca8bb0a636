package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weir/firmware/release"
	"weir/firmware/repository"
	"weir/image/disk"
	"weir/image/manifest"
	"weir/qemu/variant"
)

// Releases are versions of the image that differ in what they call themselves, and
// in files that are replaced: made from the built image's parts in seconds.
type Releases struct {
	build string // folder
	words string // for the kernel, beside those of the image
}

func (r *Releases) path(parts ...string) string {
	return filepath.Join(append([]string{r.build, "releases"}, parts...)...)
}

// Version is that of the image under test.
func (r *Releases) Version() (string, error) {
	m, err := manifest.Read(filepath.Join(r.build, "image"))
	return m.Version, err
}

// disk makes everything anew: the image under test with the lab's words for its
// kernel as first release, and the disk that starts it.
func (r *Releases) disk(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(r.path()), os.MkdirAll(r.path(), 0o755)); err != nil {
		return fmt.Errorf("make releases: %w", err)
	}
	version, err := r.Version()
	if err != nil {
		return err
	}
	if err := r.write(ctx, version, nil); err != nil {
		return err
	}
	contents := disk.Contents{Loader: filepath.Join(r.build, "image", "loader.efi"), Unified: r.path(version, release.Unified), When: time.Now()}
	return contents.Make(r.path(), r.path("disk.img"))
}

// Add makes a release and publishes it. files replace those of the image, by their
// names there.
func (r *Releases) Add(ctx context.Context, version string, files map[string][]byte) error {
	first, err := r.Version()
	if err != nil {
		return err
	}
	if version != first {
		if err := r.write(ctx, version, files); err != nil {
			return err
		}
	}
	keys := repository.Development{Dir: filepath.Join(r.build, "keys")}
	if _, err := keys.Release(&repository.Repository{Dir: r.path("repository")}, r.path(version), "", time.Now()); err != nil {
		return fmt.Errorf("publish version %s: %w", version, err)
	}
	return nil
}

// write makes the folder of a release.
func (r *Releases) write(ctx context.Context, version string, files map[string][]byte) error {
	return variant.Variant{Version: version, Files: files, Words: r.words}.Make(ctx, r.build, r.path(version))
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
