// Package deb builds the Debian package of the LB module (S-107). Under root is
// what it installs, under control what dpkg is told and what it runs; @VERSION@,
// @DATE@ and @SIZE@ in them are filled in. dpkg-deb makes the archive.
package deb

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Name is the package's name.
const Name = "weir-lbmodule"

//go:embed all:root control
var sources embed.FS

// Release is one package to build.
type Release struct {
	Version string    // of Weir, semantic
	Time    time.Time // of every file in it
	Program string    // path of the built lbmodule, for amd64
}

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.]+)?$`)

// DebianVersion is a version as dpkg orders it: what comes before a release has
// a tilde, and there is no hyphen, which would begin a revision of Debian's.
func DebianVersion(version string) (string, error) {
	if !semver.MatchString(version) {
		return "", fmt.Errorf("%q is not a version; write it as 1.2.3 or 1.2.3-rc1", version)
	}
	release, pre, _ := strings.Cut(version, "-")
	if pre == "" {
		return release, nil
	}
	return release + "~" + strings.ReplaceAll(pre, "-", "."), nil
}

// Build writes the package into a folder and returns its path. The same release
// makes the same bytes.
func Build(r Release, folder string) (path string, err error) {
	version, err := DebianVersion(r.Version)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(folder, "deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	stage := &stage{dir: filepath.Join(work, "root"), release: r, version: version}
	if err := stage.fill(); err != nil {
		return "", fmt.Errorf("lay out the package: %w", err)
	}
	name := fmt.Sprintf("%s_%s_amd64.deb", Name, version)
	made := filepath.Join(work, name)
	// The number of threads would change the bytes. Level 1 takes a sixth of the
	// time of 6, for a tenth more bytes.
	c := exec.Command("dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--threads-max=1", "--build", stage.dir, made)
	c.Env = append(os.Environ(), "LC_ALL=C", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.Time.Unix()))
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("dpkg-deb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	path = filepath.Join(folder, name)
	return path, os.Rename(made, path)
}
