package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stockDir keeps a stock Debian between runs; it takes a minute to make.
const stockDir = "../../build/deb/bookworm"

func TestLongThePackageOnAStockDebian(t *testing.T) {
	w := newWorld(t)
	root, err := filepath.Abs(stockDir)
	w.must(err, debootstrap(root))
	life(t, w, w.boot(root))
}

// debootstrap makes the smallest Debian 12 that boots, from where this machine's
// packages are from, unless it is there.
func debootstrap(root string) error {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(root), "bookworm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	mirror, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Codename: bookworm", "Component: main").Output()
	if err != nil {
		return fmt.Errorf("ask apt where packages are from: %w", err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(mirror)), "\n")
	if first == "" {
		return fmt.Errorf("apt knows no packages of Debian 12; run apt-get update")
	}
	out, err := exec.Command("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv", "bookworm", unfinished, first).CombinedOutput()
	if err != nil {
		return fmt.Errorf("debootstrap: %w: %s", err, out)
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	return os.Rename(unfinished, root)
}
