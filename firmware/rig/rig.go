// Package rig makes small releases, repositories and bundles for tests: the files
// of an image are a few bytes, keys and metadata are real.
package rig

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/firmware/bundle"
	"weir/firmware/release"
	"weir/firmware/repository"
	"weir/image/manifest"
)

// Now is the time at which everything is made.
var Now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// Rig is a repository with development keys.
type Rig struct {
	t          testing.TB
	Dir        string
	Keys       repository.Development
	Repository *repository.Repository
}

// New makes keys, and an empty repository.
func New(t testing.TB) *Rig {
	t.Helper()
	dir := t.TempDir()
	r := &Rig{t: t, Dir: dir, Keys: repository.Development{Dir: filepath.Join(dir, "keys")}, Repository: &repository.Repository{Dir: filepath.Join(dir, "repository")}}
	if _, err := r.Keys.Create(Now); err != nil {
		t.Fatal(err)
	}
	return r
}

// Image makes an image folder of a version. Its files hold the text, so other
// texts make other files.
func Image(t testing.TB, version, text string) string {
	t.Helper()
	dir := t.TempDir()
	m := manifest.Manifest{Version: version, BuildTime: Now}
	for _, name := range []string{release.Unified, release.Kernel, release.Initramfs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+" "+version+" "+text), 0o644); err != nil {
			t.Fatal(err)
		}
		o, err := manifest.Describe(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, o)
	}
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Release publishes a version at Now.
func (r *Rig) Release(version, floor string) {
	r.t.Helper()
	if _, err := r.Keys.Release(r.Repository, Image(r.t, version, ""), floor, Now); err != nil {
		r.t.Fatal(err)
	}
}

// Bundle makes the bundle of a version.
func (r *Rig) Bundle(version string) (path string) {
	r.t.Helper()
	m, err := bundle.Make(context.Background(), r.Repository.Dir, version, r.Dir, Now, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Path
}

// Root is the trusted root that belongs to the keys.
func (r *Rig) Root() []byte {
	r.t.Helper()
	root, err := os.ReadFile(r.Keys.RootFile())
	if err != nil {
		r.t.Fatal(err)
	}
	return root
}
