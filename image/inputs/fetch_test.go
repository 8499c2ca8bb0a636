package inputs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archive puts programs in the path that behave like apt with a repository in
// which only the given version of the package "thing" is. In stale lists there is
// none, until an update.
func archive(t *testing.T, version string, stale bool) *Cache {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{
		"apt-get": `case "$*" in *update*) echo u >>"$LOG"; rm -f "$STALE"; exit; esac
			while [ "$1" != download ]; do shift; done
			[ ! -e "$STALE" ] || exit 100
			[ "$2" = thing=$OFFERED ] || { echo "E: Version not found" >&2; exit 100; }
			echo "package $2" >thing_x_amd64.deb; echo x >>"$LOG"`,
		"apt-cache": `[ ! -e "$STALE" ] || exit 100
			case $1 in
			policy) echo "$2:"; echo "  Candidate: $OFFERED" ;;
			depends) echo linux-image-amd64; echo "  Depends: linux-image-6.1.0-56-amd64" ;;
			esac`,
		"dpkg-deb": `cp "$2" "$3/contents"`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("OFFERED", version)
	t.Setenv("LOG", filepath.Join(dir, "log"))
	t.Setenv("STALE", filepath.Join(dir, "stale"))
	if stale {
		if err := os.WriteFile(os.Getenv("STALE"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &Cache{Dir: filepath.Join(dir, "cache")}
}

func TestTheExpectedVersionIsFetchedOnceAndUnpacked(t *testing.T) {
	cache := archive(t, "1:2-3", false)
	for range 2 {
		p, err := cache.Fetch(Input{Name: "thing", Version: "1:2-3"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(p.Root, "contents"))
		if err != nil || string(text) != "package thing=1:2-3\n" {
			t.Errorf("unpacked %q, %v", text, err)
		}
		if want, err := HashFile(filepath.Join(p.Root, "contents")); p.SHA256 != want || err != nil {
			t.Errorf("got the SHA-256 %s, want %s", p.SHA256, want)
		}
	}
	if log, err := os.ReadFile(os.Getenv("LOG")); err != nil || string(log) != "x\n" {
		t.Errorf("not downloaded exactly once: %q, %v", log, err)
	}
}

func TestAVersionThatIsGoneIsReplacedByTheOneThatAptOffers(t *testing.T) {
	p, err := archive(t, "4", false).Fetch(Input{Name: "thing", Version: "3"})
	if err != nil || p.Version != "4" {
		t.Errorf("got %v, %v", p.Input, err)
	}
}

func TestStaleListsAreReadAnewOnce(t *testing.T) {
	cache := archive(t, "4", true)
	for range 2 {
		if p, err := cache.Fetch(Input{Name: "thing", Version: "4"}); err != nil || p.Version != "4" {
			t.Errorf("got %v, %v", p.Input, err)
		}
	}
	if _, err := cache.Fetch(Input{Name: "thing", Version: "5"}); err != nil {
		t.Error(err)
	}
	if log, err := os.ReadFile(os.Getenv("LOG")); err != nil || string(log) != "u\nx\n" {
		t.Errorf("want one update and one download: %q, %v", log, err)
	}
}

func TestAPackageThatAptDoesNotHaveIsNamed(t *testing.T) {
	_, err := archive(t, "(none)", false).Fetch(Input{Name: "other"})
	if err == nil || !strings.Contains(err.Error(), "no package other: run apt-get update") {
		t.Errorf("got %v", err)
	}
}

func TestTheMetapackageNamesTheKernel(t *testing.T) {
	if name, err := archive(t, "1", true).Kernel(); err != nil || name != "linux-image-6.1.0-56-amd64" {
		t.Errorf("got %q, %v", name, err)
	}
}
