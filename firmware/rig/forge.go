package rig

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/bundle"
	"weir/firmware/release"
	"weir/firmware/repository"
)

type targets = metadata.Metadata[metadata.TargetsType]

func (r *Rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// twin has the same keys, and a copy of what is published.
func (r *Rig) twin() *Rig {
	r.t.Helper()
	dir := r.t.TempDir()
	t := &Rig{t: r.t, Dir: dir, Keys: r.Keys, Repository: &repository.Repository{Dir: filepath.Join(dir, "repository")}}
	if _, err := os.Stat(r.Repository.Dir); err == nil {
		r.must(os.CopyFS(t.Repository.Dir, os.DirFS(r.Repository.Dir)))
	}
	return t
}

// publish publishes a version at a time.
func (r *Rig) publish(version, floor string, at time.Time) {
	r.t.Helper()
	_, err := r.Keys.Release(r.Repository, Image(r.t, version, ""), floor, at)
	r.must(err)
}

func (r *Rig) metadata(name string) string {
	return filepath.Join(r.Repository.Dir, "metadata", name)
}

// newest reads the targets that the snapshot names.
func (r *Rig) newest() (*targets, *metadata.Metadata[metadata.SnapshotType], *metadata.Metadata[metadata.TimestampType]) {
	r.t.Helper()
	timestamp, err := metadata.Timestamp().FromFile(r.metadata("timestamp.json"))
	r.must(err)
	snapshot, err := metadata.Snapshot().FromFile(r.metadata(fmt.Sprintf("%d.snapshot.json", timestamp.Signed.Meta["snapshot.json"].Version)))
	r.must(err)
	t, err := metadata.Targets().FromFile(r.metadata(fmt.Sprintf("%d.targets.json", snapshot.Signed.Meta["targets.json"].Version)))
	r.must(err)
	return t, snapshot, timestamp
}

// forge replaces the newest targets: changed, signed by so many keys, changed once
// more; and has the online key vouch for them, as weir-bundle never would.
func (r *Rig) forge(before func(*targets), signers int, after func(*targets)) {
	r.t.Helper()
	t, snapshot, timestamp := r.newest()
	t.ClearSignatures()
	if before != nil {
		before(t)
	}
	for i := range signers {
		r.sign(t.Sign, fmt.Sprintf("targets-%d.key", i+1))
	}
	if after != nil {
		after(t)
	}
	name := fmt.Sprintf("%d.targets.json", t.Signed.Version)
	snapshot.Signed.Meta["targets.json"] = r.vouched(name, t, t.Signed.Version)
	snapshot.ClearSignatures()
	snapshot.Signed.Version++
	r.sign(snapshot.Sign, "online.key")
	name = fmt.Sprintf("%d.snapshot.json", snapshot.Signed.Version)
	timestamp.Signed.Meta["snapshot.json"] = r.vouched(name, snapshot, snapshot.Signed.Version)
	timestamp.ClearSignatures()
	timestamp.Signed.Version++
	r.sign(timestamp.Sign, "online.key")
	r.vouched("timestamp.json", timestamp, timestamp.Signed.Version)
}

// vouched writes a file, and says of it what the one above it has to say.
func (r *Rig) vouched(name string, file interface{ ToBytes(bool) ([]byte, error) }, version int64) *metadata.MetaFiles {
	r.t.Helper()
	text, err := file.ToBytes(true)
	r.must(err)
	r.must(os.WriteFile(r.metadata(name), text, 0o644))
	hash := sha256.Sum256(text)
	return &metadata.MetaFiles{Version: version, Length: int64(len(text)), Hashes: metadata.Hashes{"sha256": hash[:]}}
}

// sign signs with one of the development keys.
func (r *Rig) sign(sign func(signature.Signer) (*metadata.Signature, error), key string) {
	r.t.Helper()
	by, err := repository.LoadSigner(filepath.Join(r.Keys.Dir, key))
	r.must(err)
	_, err = sign(by)
	r.must(err)
}

// later is a change that nobody signs.
func later(t *targets) { t.Signed.Expires = t.Signed.Expires.Add(time.Hour) }

// other makes every release one for other machines.
func other(t *targets) {
	for _, f := range t.Signed.Targets {
		text := json.RawMessage(strings.ReplaceAll(string(*f.Custom), release.Compatible, "weir-other"))
		f.Custom = &text
	}
}

// spoil changes one byte of a file of a release.
func (r *Rig) spoil(version, name string) {
	r.t.Helper()
	path := filepath.Join(r.Repository.Dir, "targets", r.file(version, name).Stored())
	text, err := os.ReadFile(path)
	r.must(err)
	text[len(text)/2] ^= 1
	r.must(os.WriteFile(path, text, 0o644))
}

func (r *Rig) file(version, name string) release.File {
	r.t.Helper()
	t, _, _ := r.newest()
	f := t.Signed.Targets[version+"/"+name]
	if f == nil {
		r.t.Fatalf("the repository has no %s of version %s", name, version)
	}
	return release.File{Name: name, Size: f.Length, SHA256: f.Hashes["sha256"].String()}
}

// write writes the bundle of a version without looking whether it is any good.
func (r *Rig) write(version string) (path string) {
	r.t.Helper()
	made := release.Release{Version: version}
	for _, name := range release.Names {
		made.Files = append(made.Files, r.file(version, name))
	}
	path = filepath.Join(r.Dir, "weir-"+version+".bundle")
	out, err := os.Create(path)
	r.must(err)
	r.must(bundle.Write(out, r.Repository.Dir, made, func(int64) {}))
	r.must(out.Close())
	return path
}
