package inputs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Cache holds package files and what they contain, in Dir.
type Cache struct {
	Dir     string
	updated bool // apt's lists are fresh
}

// Package is a Debian package that is unpacked and not installed.
type Package struct {
	Input
	// Root is the folder with its contents.
	Root string
}

// Fetch brings a package: the version that the lock expects if it is in the cache
// or can be had, else the one that apt offers. Before it gives a version up, it
// has apt read its lists anew.
func (c *Cache) Fetch(want Input) (Package, error) {
	if want.Version != "" {
		if p, err := c.fetch(want.Name, want.Version); err == nil {
			return p, nil
		}
		if c.update() {
			if p, err := c.fetch(want.Name, want.Version); err == nil {
				return p, nil
			}
		}
	}
	version, err := candidate(want.Name)
	if err != nil && c.update() {
		version, err = candidate(want.Name)
	}
	if err != nil {
		return Package{}, err
	}
	return c.fetch(want.Name, version)
}

// update says whether apt's lists have just become fresh. Without a network they
// stay as they are, and so they do from the second call on.
func (c *Cache) update() bool {
	if c.updated {
		return false
	}
	c.updated = true
	_, err := run("", "apt-get", "-q", "update")
	return err == nil
}

func (c *Cache) fetch(name, version string) (Package, error) {
	p := Package{Input: Input{Name: name, Version: version}, Root: filepath.Join(c.Dir, name+"_"+version)}
	deb := p.Root + ".deb"
	if _, err := os.Stat(deb); errors.Is(err, os.ErrNotExist) {
		if err := c.download(name, version, deb); err != nil {
			return Package{}, err
		}
	}
	var err error
	if p.SHA256, err = HashFile(deb); err != nil {
		return Package{}, err
	}
	if _, err := os.Stat(p.Root); err == nil {
		return p, nil
	}
	// Unpacked under another name first: what has the final name is complete.
	temp, err := os.MkdirTemp(c.Dir, "unpack-")
	if err != nil {
		return Package{}, err
	}
	defer os.RemoveAll(temp)
	if _, err := run("", "dpkg-deb", "-x", deb, temp); err != nil {
		return Package{}, err
	}
	return p, os.Rename(temp, p.Root)
}

func (c *Cache) download(name, version, deb string) error {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(c.Dir, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	// apt as root downloads as a user of its own, who may not write here, and
	// warns of it.
	if _, err := run(temp, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name+"="+version); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(temp, "*.deb"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("download %s %s: want one package file, got %d", name, version, len(files))
	}
	return os.Rename(files[0], deb)
}

// Kernel is the name of the package that the metapackage linux-image-amd64
// stands for at present.
func (c *Cache) Kernel() (string, error) {
	out, err := run("", "apt-cache", "depends", "linux-image-amd64")
	if err != nil && c.update() {
		out, err = run("", "apt-cache", "depends", "linux-image-amd64")
	}
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			return "linux-image-" + name, nil
		}
	}
	return "", errors.New("apt knows no package linux-image-amd64: is /etc/apt/sources.list.d that of Debian 12?")
}

// candidate is the version that apt would install.
func candidate(name string) (string, error) {
	out, err := run("", "apt-cache", "policy", name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && version != "(none)" {
			return version, nil
		}
	}
	return "", fmt.Errorf("apt knows no package %s: run apt-get update and see what it says", name)
}

// Installed is a package of the building machine.
func Installed(name string) (Input, error) {
	version, err := run("", "dpkg-query", "-W", "-f", "${Version}", name)
	if err != nil {
		return Input{}, fmt.Errorf("package %s (run make deps): %w", name, err)
	}
	return Input{Name: name, Version: version}, nil
}

// HashFile is the SHA-256 of a file in hex.
func HashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func run(dir, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C")
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
