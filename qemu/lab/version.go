package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/u-root/mkuimage/cpio"

	"weir/qemu/topology"
)

// AddVersion gives provisiond another version of the image: the one under test with
// some of its files replaced, by their names in the image.
func (l *Lab) AddVersion(version string, files map[string][]byte) error {
	image := filepath.Join(filepath.Dir(l.Dir), "image")
	dir := filepath.Join(l.machineDir(topology.ControllerID), "images", version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make version %s: %w", version, err)
	}
	for _, name := range []string{"vmlinuz", "manifest.json", "weir.efi", "loader.efi"} {
		if err := errors.Join(removeIfThere(filepath.Join(dir, name)), os.Symlink(filepath.Join(image, name), filepath.Join(dir, name))); err != nil {
			return fmt.Errorf("make version %s: %w", version, err)
		}
	}
	archive, err := os.ReadFile(filepath.Join(image, "initramfs.cpio.zst"))
	if err != nil {
		return fmt.Errorf("make version %s: %w", version, err)
	}
	// The kernel unpacks one archive after the other; they begin at multiples of four bytes.
	over := bytes.NewBuffer(append(archive, make([]byte, -len(archive)&3)...))
	var records []cpio.Record
	for name, b := range files {
		records = append(records, cpio.StaticFile(name, string(b), 0o755))
	}
	w := cpio.Newc.Writer(over)
	if err := errors.Join(cpio.WriteRecords(w, records), cpio.WriteTrailer(w)); err != nil {
		return fmt.Errorf("make version %s: %w", version, err)
	}
	return os.WriteFile(filepath.Join(dir, "initramfs.cpio.zst"), over.Bytes(), 0o644)
}

// SetVersion has provisiond give a version to all machines.
func (l *Lab) SetVersion(ctx context.Context, version string) error {
	path := filepath.Join(l.machineDir(topology.ControllerID), "provisiond.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("set the version: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	i := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "version: ") })
	lines[i] = "version: " + version
	if err := errors.Join(writeFile(path, strings.Join(lines, "\n")), l.EndProvisiond()); err != nil {
		return err
	}
	l.say("provisiond gives version %s", version)
	return l.StartProvisiond(ctx)
}

// AwaitBoot waits until provisiond says of the only machine what is asked for.
func (l *Lab) AwaitBoot(ctx context.Context, n topology.Node, what string, ok func(MachineBoot) bool) error {
	var asked time.Time
	var list []ProvisionedMachine
	err := waitFor(ctx, 6*time.Minute, nil, func() (err error) {
		if time.Since(asked) < time.Second {
			return fmt.Errorf("%s: not yet", what)
		}
		asked = time.Now()
		if list, err = l.Machines(ctx); err != nil {
			return err
		}
		if len(list) != 1 || !ok(list[0].Boot) {
			return fmt.Errorf("%s: not yet: %+v", what, list)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, l.bootLogs(n))
	}
	l.say("%s", what)
	return nil
}
