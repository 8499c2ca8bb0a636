package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/qemu/topology"
	"weir/qemu/variant"
)

// AddVersion gives provisiond another version of the image: the one under test with
// some of its files replaced, by their names in the image, and programs that say the version.
func (l *Lab) AddVersion(ctx context.Context, version string, files map[string][]byte) error {
	build, dir := filepath.Dir(l.Dir), filepath.Join(l.machineDir(topology.ControllerID), "images", version)
	if err := (variant.Variant{Version: version, Files: files}).Make(ctx, build, dir); err != nil {
		return err
	}
	loader := filepath.Join(dir, "loader.efi")
	return errors.Join(removeIfThere(loader), os.Symlink(filepath.Join(build, "image", "loader.efi"), loader))
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
