package imagetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/mkuimage/cpio"
)

// What a key or a hash of a password looks like. Programs that read keys contain
// the first line of one, but none that is followed by a key.
var (
	privateKey   = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{40}`)
	passwordHash = regexp.MustCompile(`\$(2[aby]|[156y])\$[./A-Za-z0-9$]{30,}`)
)

func TestTheImageHoldsNoSecret(t *testing.T) {
	for _, r := range records(t, file("initramfs.cpio.zst")) {
		for _, pattern := range []string{"*.key", "*.pem", "*.p12", "id_*", "shadow*", "authorized_keys", ".netrc", "*history", "state.db", "node.yaml"} {
			if match, _ := path.Match(pattern, path.Base(r.Name)); match {
				t.Errorf("%s has no place in an image that is the same for all", r.Name)
			}
		}
		if r.Mode&cpio.S_IFMT != cpio.S_IFREG {
			continue
		}
		data := contents(t, r)
		for _, secret := range []*regexp.Regexp{privateKey, passwordHash} {
			if at := secret.FindIndex(data); at != nil {
				t.Errorf("%s holds a secret at %d: %.60q", r.Name, at[0], data[at[0]:])
			}
		}
	}
}

func TestTheImageHoldsNoCompilerAndNoPackageManager(t *testing.T) {
	unwanted := []string{
		"as", "cc", "gcc", "g++", "clang", "ld", "go", "gofmt", "make", "perl", "python", "python3", "tcc",
		"apt", "apt-get", "dpkg", "rpm", "yum", "dnf", "apk", "opkg", "pip", "npm", "cargo",
		"sshd", "scp", "wget", "curl", "dhclient",
	}
	for _, r := range records(t, file("initramfs.cpio.zst")) {
		if slices.Contains(unwanted, path.Base(r.Name)) {
			t.Errorf("the image has %s", r.Name)
		}
		switch path.Ext(r.Name) {
		case ".deb", ".h", ".a", ".go", ".c", ".py":
			t.Errorf("the image has %s", r.Name)
		}
	}
}

func TestAllBelongsToRootAndOnlyTmpCanBeWrittenByOthers(t *testing.T) {
	for _, r := range records(t, file("initramfs.cpio.zst")) {
		if r.UID != 0 || r.GID != 0 || r.MTime != 0 {
			t.Errorf("%s has an owner or a time: %v", r.Name, r.Info)
		}
		kind := r.Mode & cpio.S_IFMT
		if kind != cpio.S_IFLNK && r.Mode&0o002 != 0 && r.Name != "tmp" && r.Name != "dev/null" {
			t.Errorf("%s can be written by everybody", r.Name)
		}
		if kind == cpio.S_IFREG && r.Mode&0o6000 != 0 {
			t.Errorf("%s runs as its owner", r.Name)
		}
	}
}

func TestWhatANodeRunsIsThere(t *testing.T) {
	have := map[string]cpio.Record{}
	for _, r := range records(t, file("initramfs.cpio.zst")) {
		have[r.Name] = r
	}
	kernel := "lib/modules/" + readManifest(t).Kernel + "/"
	for _, name := range []string{
		"init", "bin/dataplane", "bin/noded", "bin/console", "bin/updated", "bin/weirctl", "bin/sh", "bin/ip", "bin/dmesg", "bbin/gosh",
		"sbin/e2fsck", "sbin/mke2fs", "etc/mke2fs.conf", "etc/weir/release.json", "etc/weir/root.json", "dev/console", "proc", "sys", "run", "var/lib/weir",
		kernel + "modules.dep", kernel + "modules.alias", kernel + "kernel/drivers/vfio/pci/vfio-pci.ko", kernel + "kernel/fs/ext4/ext4.ko",
	} {
		if _, found := have[name]; !found {
			t.Errorf("%s is missing", name)
		}
	}
	for name, r := range have {
		if r.Mode&cpio.S_IFMT != cpio.S_IFLNK {
			continue
		}
		target := path.Join(path.Dir(name), string(contents(t, r)))
		if _, found := have[target]; !found && !strings.HasPrefix(target, "proc/") {
			t.Errorf("%s leads to %s, which is not there", name, target)
		}
	}
}

func TestTheManifestNamesTheRootThatTheImageTrusts(t *testing.T) {
	records := records(t, file("initramfs.cpio.zst"))
	at := slices.IndexFunc(records, func(r cpio.Record) bool { return r.Name == "etc/weir/root.json" })
	if at < 0 {
		t.Fatal("etc/weir/root.json is missing")
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(contents(t, records[at]))), readManifest(t).TrustedRoot; got != want {
		t.Errorf("the manifest says %q, the root in the image is %s", want, got)
	}
}

func TestEveryModuleHasTheModulesThatItNeeds(t *testing.T) {
	have := map[string]cpio.Record{}
	for _, r := range records(t, file("initramfs.cpio.zst")) {
		have[r.Name] = r
	}
	folder := "lib/modules/" + readManifest(t).Kernel
	dep, found := have[folder+"/modules.dep"]
	if !found {
		t.Fatal("no modules.dep")
	}
	lines := 0
	for line := range strings.Lines(string(contents(t, dep))) {
		lines++
		for _, name := range strings.Fields(strings.Replace(line, ":", " ", 1)) {
			if _, found := have[path.Join(folder, name)]; !found {
				t.Errorf("%s is missing", name)
			}
		}
	}
	if lines < 50 {
		t.Errorf("modules.dep has only %d lines", lines)
	}
}

func TestNoProgramTellsWhereItWasBuilt(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records(t, file("initramfs.cpio.zst")) {
		if r.Mode&cpio.S_IFMT != cpio.S_IFREG {
			continue
		}
		data := contents(t, r)
		for _, place := range []string{source + "/", filepath.Join(home, "go") + "/"} {
			if at := bytes.Index(data, []byte(place)); at >= 0 {
				t.Errorf("%s: %.100q", r.Name, data[at:])
			}
		}
	}
}
