package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/u-root/mkuimage/cpio"

	"weir/firmware/release"
	"weir/firmware/repository"
	"weir/image/disk"
	"weir/image/manifest"
	"weir/image/uki"
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
	if err := r.write(version, nil); err != nil {
		return err
	}
	contents := disk.Contents{Loader: filepath.Join(r.build, "image", "loader.efi"), Unified: r.path(version, release.Unified), When: time.Now()}
	return contents.Make(r.path(), r.path("disk.img"))
}

// stamped are the programs that say which version a node runs, and where they are in it.
var stamped = map[string]string{"./init": "init", "./services/noded": "bin/noded", "./services/updated": "bin/updated"}

// Add makes a release and publishes it. files replace those of the image, by their
// names there.
func (r *Releases) Add(ctx context.Context, version string, files map[string][]byte) error {
	over := map[string][]byte{}
	first, err := r.Version()
	if err != nil {
		return err
	}
	if version != first {
		programs := r.path("programs-" + version)
		for source, place := range stamped {
			to := filepath.Join(programs, filepath.Base(place))
			c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X weir/services/version.Version="+version, "-o", to, source)
			c.Dir, c.Env = filepath.Dir(r.build), append(os.Environ(), "CGO_ENABLED=0", "GOAMD64=v3")
			if out, err := c.CombinedOutput(); err != nil {
				return fmt.Errorf("make version %s: %w: %s", version, err, out)
			}
			if over[place], err = os.ReadFile(to); err != nil {
				return fmt.Errorf("make version %s: %w", version, err)
			}
		}
		for name, b := range files {
			over[name] = b
		}
		if err := r.write(version, over); err != nil {
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
func (r *Releases) write(version string, over map[string][]byte) error {
	dir, image := r.path(version), filepath.Join(r.build, "image")
	m, err := manifest.Read(image)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make version %s: %w", version, err)
	}
	err = errors.Join(r.initramfs(filepath.Join(image, release.Initramfs), filepath.Join(dir, release.Initramfs), over), run("cp", filepath.Join(image, release.Kernel), dir))
	if err != nil {
		return fmt.Errorf("make version %s: %w", version, err)
	}
	u := uki.Image{Stub: stub, Kernel: filepath.Join(dir, release.Kernel), Initramfs: filepath.Join(dir, release.Initramfs),
		OSRelease: "ID=weir\nVERSION_ID=" + version + "\n", CommandLine: strings.TrimSpace(m.CommandLine + " " + r.words), Uname: m.Kernel}
	if err := u.Write(dir, filepath.Join(dir, release.Unified)); err != nil {
		return err
	}
	m.Version, m.Outputs = version, nil
	for _, name := range []string{release.Kernel, release.Initramfs, release.Unified} {
		o, err := manifest.Describe(dir, name)
		if err != nil {
			return err
		}
		m.Outputs = append(m.Outputs, o)
	}
	return m.Write(dir)
}

// stub is what a unified image begins with, from the package systemd-boot-efi.
const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// initramfs puts another archive behind the image's: the kernel unpacks one after
// the other. They begin at multiples of four bytes.
func (r *Releases) initramfs(from, to string, over map[string][]byte) error {
	archive, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if len(over) > 0 {
		var records []cpio.Record
		for name, b := range over {
			records = append(records, cpio.StaticFile(name, string(b), 0o755))
		}
		var text bytes.Buffer
		w := cpio.Newc.Writer(&text)
		if err := errors.Join(cpio.WriteRecords(w, records), cpio.WriteTrailer(w)); err != nil {
			return err
		}
		part := to + ".over"
		if err := os.WriteFile(part, text.Bytes(), 0o644); err != nil {
			return err
		}
		if err := run("zstd", "-q", "-f", "--rm", "-3", part, "-o", part+".zst"); err != nil {
			return err
		}
		packed, err := os.ReadFile(part + ".zst")
		if err != nil {
			return err
		}
		archive = append(append(archive, make([]byte, -len(archive)&3)...), packed...)
	}
	return os.WriteFile(to, archive, 0o644)
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
