// Package variant makes other versions of the image out of the parts of the one that
// was built, in seconds: good ones, whose programs say that they are of another
// version, and ones that are bad in a way that an upgrade has to survive.
package variant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/mkuimage/cpio"

	"weir/firmware/release"
	"weir/image/manifest"
	"weir/image/uki"
)

// Variant is a version of the image.
type Variant struct {
	Version string            // that of the built image: its programs stay as they are
	Files   map[string][]byte // executables in the place of files of its root, by name: "bin/dataplane"
	Words   string            // behind its kernel's command line
	Hangs   bool              // its kernel, at its first instruction, whoever starts it
	Change  Change            // of its programs' source
}

// Change is text that stands once in a file of the source tree, and what takes its
// place before the programs are built.
type Change struct{ File, Old, New string }

// stamped are the programs that say which version a node runs, and where they are in it.
var stamped = map[string]string{"./init": "init", "./services/noded": "bin/noded", "./services/updated": "bin/updated"}

// stub is what a unified image begins with, from the package systemd-boot-efi.
const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// Make writes the image's folder, of kernel, initramfs, unified image and manifest,
// from what is in build/image of the source tree.
func (v Variant) Make(ctx context.Context, build, dir string) error {
	if err := v.make(ctx, build, dir); err != nil {
		return fmt.Errorf("make version %s: %w", v.Version, err)
	}
	return nil
}

func (v Variant) make(ctx context.Context, build, dir string) error {
	image := filepath.Join(build, "image")
	m, err := manifest.Read(image)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	over := map[string][]byte{}
	if v.Version != m.Version {
		if over, err = v.programs(ctx, filepath.Dir(build), filepath.Join(dir, "programs")); err != nil {
			return err
		}
	}
	maps.Copy(over, v.Files)
	if err := initramfs(ctx, filepath.Join(image, release.Initramfs), filepath.Join(dir, release.Initramfs), over); err != nil {
		return err
	}
	if err := v.kernel(filepath.Join(image, release.Kernel), filepath.Join(dir, release.Kernel)); err != nil {
		return err
	}
	u := uki.Image{Stub: stub, Kernel: filepath.Join(dir, release.Kernel), Initramfs: filepath.Join(dir, release.Initramfs),
		OSRelease: "ID=weir\nVERSION_ID=" + v.Version + "\n", CommandLine: strings.TrimSpace(m.CommandLine + " " + v.Words), Uname: m.Kernel}
	if err := u.Write(dir, filepath.Join(dir, release.Unified)); err != nil {
		return err
	}
	m.Version, m.Outputs = v.Version, nil
	for _, name := range []string{release.Kernel, release.Initramfs, release.Unified} {
		o, err := manifest.Describe(dir, name)
		if err != nil {
			return err
		}
		m.Outputs = append(m.Outputs, o)
	}
	return m.Write(dir)
}

// programs builds those that are stamped and not replaced, in a folder that is then
// removed. They are by their names in the image.
func (v Variant) programs(ctx context.Context, root, temp string) (map[string][]byte, error) {
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	flags := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X weir/services/version.Version=" + v.Version}
	if v.Change.File != "" {
		list, err := v.Change.overlay(root, temp)
		if err != nil {
			return nil, err
		}
		flags = append(flags, "-overlay", list)
	}
	all := map[string][]byte{}
	for source, place := range stamped {
		if _, replaced := v.Files[place]; replaced {
			continue
		}
		to := filepath.Join(temp, filepath.Base(place))
		c := exec.CommandContext(ctx, "go", append(slices.Clone(flags), "-o", to, source)...)
		c.Dir, c.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOAMD64=v3")
		out, err := c.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("build %s: %w: %s", source, err, out)
		}
		if all[place], err = os.ReadFile(to); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// initramfs puts another archive behind the image's: the kernel unpacks one after
// the other. They begin at multiples of four bytes.
func initramfs(ctx context.Context, from, to string, over map[string][]byte) error {
	archive, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if len(over) > 0 {
		var records []cpio.Record
		for _, name := range slices.Sorted(maps.Keys(over)) {
			records = append(records, cpio.StaticFile(name, string(over[name]), 0o755))
		}
		var text bytes.Buffer
		w := cpio.Newc.Writer(&text)
		if err := errors.Join(cpio.WriteRecords(w, records), cpio.WriteTrailer(w)); err != nil {
			return err
		}
		c := exec.CommandContext(ctx, "zstd", "--quiet", "--stdout", "-1")
		c.Stdin = &text
		packed, err := c.Output()
		if err != nil {
			return fmt.Errorf("zstd: %w", err)
		}
		archive = append(append(archive, make([]byte, -len(archive)&3)...), packed...)
	}
	return os.WriteFile(to, archive, 0o644)
}
