package repository

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"weir/firmware/release"
)

// Lifetimes of metadata, unless asked otherwise.
const (
	day            = 24 * time.Hour
	RootLife       = 365 * day
	TargetsLife    = 180 * day
	OnlineLife     = 30 * day // snapshot and timestamp
	renewOnlineAge = OnlineLife / 2
)

// Published is what Publish has done.
type Published struct {
	Root, Targets, Snapshot, Timestamp int64 // versions that are in force now
	Changed                            bool
}

// publication is a repository as it will be.
type publication struct {
	r       *Repository
	now     time.Time
	root    *rootFile
	targets *targetsFile // nil: there is no release yet
	// What is staged and becomes public.
	newRoot, newTargets bool
}

// Publish puts staged roots and targets in force that enough keys have signed, and
// signs snapshot and timestamp with the online key. Nothing is changed unless all
// of it is in order. The first root may be published before there is a release:
// images have to hold it. If nothing is staged, snapshot and timestamp are made anew
// when half of their time is over, or when renew says so.
func (r *Repository) Publish(online *Signer, now time.Time, life time.Duration, renew bool) (Published, error) {
	p := &publication{r: r, now: now}
	if err := p.gather(); err != nil {
		return Published{}, err
	}
	if err := p.check(online); err != nil {
		return Published{}, err
	}
	return p.publish(online, now.Add(life), renew)
}

// gather reads what is published and what is staged on top of it.
func (p *publication) gather() error {
	old, err := p.r.root()
	if err != nil && !errors.Is(err, ErrNothing) {
		return err
	}
	p.root = old
	next, err := load[metadata.RootType](filepath.Join(p.r.Dir, "staged"), metadata.ROOT)
	switch {
	case err == nil:
		if err := checkRoot(old, next); err != nil {
			return err
		}
		p.root, p.newRoot = next, true
	case !errors.Is(err, ErrNothing):
		return err
	}
	if p.root == nil {
		return fmt.Errorf("%s has no root: make one with weir-bundle root new", p.r.Dir)
	}
	if p.targets, err = p.r.targets(); err != nil && !errors.Is(err, ErrNothing) {
		return err
	}
	staged, err := load[metadata.TargetsType](filepath.Join(p.r.Dir, "staged"), metadata.TARGETS)
	switch {
	case err == nil:
		p.targets, p.newTargets = staged, true
	case !errors.Is(err, ErrNothing):
		return err
	case p.targets == nil && !p.newRoot:
		return fmt.Errorf("%s has no release: stage one with weir-bundle targets add", p.r.Dir)
	}
	return nil
}

// checkRoot wants the signatures of the old root's keys and of the new one's.
func checkRoot(old, next *rootFile) error {
	name := fmt.Sprintf("staged/%d.root.json", next.Signed.Version)
	version := int64(1)
	if old != nil {
		version = old.Signed.Version + 1
		if err := old.VerifyDelegate(metadata.ROOT, next); err != nil {
			return fmt.Errorf("%s: by the keys of the root before it: %w; sign it with more of them", name, err)
		}
	}
	if err := next.VerifyDelegate(metadata.ROOT, next); err != nil {
		return fmt.Errorf("%s: by its own keys: %w; sign it with more of them", name, err)
	}
	if next.Signed.Version != version {
		return fmt.Errorf("%s: the next root has to be version %d", name, version)
	}
	return nil
}

// check is what nodes will check.
func (p *publication) check(online *Signer) error {
	if p.root.Signed.IsExpired(p.now) {
		return fmt.Errorf("the root expired at %s: stage the next with weir-bundle root next and have it signed", p.root.Signed.Expires)
	}
	if !slices.Contains(p.root.Signed.Roles[metadata.TIMESTAMP].KeyIDs, online.ID) {
		return fmt.Errorf("the key %.16s is not the online key of root %d", online.ID, p.root.Signed.Version)
	}
	if p.targets == nil {
		return nil
	}
	name := fmt.Sprintf("%d.targets.json", p.targets.Signed.Version)
	if err := p.root.VerifyDelegate(metadata.TARGETS, p.targets); err != nil {
		remedy := "sign it with more of them"
		if !p.newTargets {
			remedy = "the new root has other keys for it: stage the next with weir-bundle targets renew and have it signed"
		}
		return fmt.Errorf("%s: %w; %s", name, err, remedy)
	}
	if p.targets.Signed.IsExpired(p.now) {
		return fmt.Errorf("%s expired at %s: stage the next with weir-bundle targets renew and have it signed", name, p.targets.Signed.Expires)
	}
	if !p.newTargets {
		return nil
	}
	for path, t := range p.targets.Signed.Targets {
		f := release.File{Name: filepath.Base(path), SHA256: t.Hashes["sha256"].String()}
		there, err := hashFile(p.r.target(f.Stored()))
		if err == nil && (there.SHA256 != f.SHA256 || there.Size != t.Length) {
			err = errors.New("other contents than those that were signed")
		}
		if err != nil {
			return fmt.Errorf("%s, targets/%s: %w; stage it again with weir-bundle targets add", path, f.Stored(), err)
		}
	}
	return nil
}

// publish writes in the order in which nobody who reads meanwhile finds something
// that names what is not there yet. The timestamp comes last.
func (p *publication) publish(online *Signer, expires time.Time, renew bool) (done Published, err error) {
	if p.targets == nil {
		return Published{Root: p.root.Signed.Version, Changed: true}, errors.Join(p.publishRoot(), p.r.emptyStaged())
	}
	if p.newTargets {
		name := fmt.Sprintf("%d.targets.json", p.targets.Signed.Version)
		if err := write(p.r.published(name), p.targets); err != nil {
			return done, err
		}
	}
	snapshot, newSnapshot, err := p.snapshot(online, expires, renew)
	if err != nil {
		return done, err
	}
	if err := p.publishRoot(); err != nil {
		return done, err
	}
	timestamp, newTimestamp, err := p.timestamp(online, snapshot, expires, renew)
	if err != nil {
		return done, err
	}
	done = Published{Root: p.root.Signed.Version, Targets: p.targets.Signed.Version, Snapshot: snapshot, Timestamp: timestamp,
		Changed: p.newRoot || p.newTargets || newSnapshot || newTimestamp}
	if err := p.r.emptyStaged(); err != nil {
		return done, err
	}
	return done, p.r.prune()
}

func (p *publication) publishRoot() error {
	if !p.newRoot {
		return nil
	}
	return write(p.r.published(fmt.Sprintf("%d.root.json", p.root.Signed.Version)), p.root)
}

func (r *Repository) emptyStaged() error { return os.RemoveAll(filepath.Join(r.Dir, "staged")) }

// snapshot makes the next one if the last does not say the same or gets old.
func (p *publication) snapshot(online *Signer, expires time.Time, renew bool) (version int64, changed bool, err error) {
	want, err := describeFile(p.r.published(fmt.Sprintf("%d.targets.json", p.targets.Signed.Version)), p.targets.Signed.Version)
	if err != nil {
		return 0, false, err
	}
	last, err := load[metadata.SnapshotType](filepath.Join(p.r.Dir, "metadata"), metadata.SNAPSHOT)
	switch {
	case errors.Is(err, ErrNothing):
		last = metadata.Snapshot()
		last.Signed.Version = 0
	case err != nil:
		return 0, false, err
	case !renew && same(last.Signed.Meta["targets.json"], want) && p.fresh(last.Signed.Expires) && p.root.VerifyDelegate(metadata.SNAPSHOT, last) == nil:
		return last.Signed.Version, false, nil
	}
	last.ClearSignatures()
	last.Signed.Version++
	last.Signed.Expires = seconds(expires)
	last.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": want}
	if _, err := last.Sign(online); err != nil {
		return 0, false, err
	}
	return last.Signed.Version, true, write(p.r.published(fmt.Sprintf("%d.snapshot.json", last.Signed.Version)), last)
}

// timestamp likewise.
func (p *publication) timestamp(online *Signer, snapshot int64, expires time.Time, renew bool) (version int64, changed bool, err error) {
	want, err := describeFile(p.r.published(fmt.Sprintf("%d.snapshot.json", snapshot)), snapshot)
	if err != nil {
		return 0, false, err
	}
	last, err := load[metadata.TimestampType](filepath.Join(p.r.Dir, "metadata"), metadata.TIMESTAMP)
	switch {
	case errors.Is(err, ErrNothing):
		last = metadata.Timestamp()
		last.Signed.Version = 0
	case err != nil:
		return 0, false, err
	case !renew && same(last.Signed.Meta["snapshot.json"], want) && p.fresh(last.Signed.Expires) && p.root.VerifyDelegate(metadata.TIMESTAMP, last) == nil:
		return last.Signed.Version, false, nil
	}
	last.ClearSignatures()
	last.Signed.Version++
	last.Signed.Expires = seconds(expires)
	last.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": want}
	if _, err := last.Sign(online); err != nil {
		return 0, false, err
	}
	return last.Signed.Version, true, write(p.r.published("timestamp.json"), last)
}

// fresh says that there is no need to renew yet.
func (p *publication) fresh(expires time.Time) bool { return p.now.Add(renewOnlineAge).Before(expires) }

// describeFile is what a snapshot or timestamp says of a file.
func describeFile(path string, version int64) (*metadata.MetaFiles, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(text)
	return &metadata.MetaFiles{Version: version, Length: int64(len(text)), Hashes: metadata.Hashes{"sha256": hash[:]}}, nil
}

func same(a, b *metadata.MetaFiles) bool {
	return a != nil && a.Version == b.Version && a.Length == b.Length && maps.EqualFunc(a.Hashes, b.Hashes, func(x, y metadata.HexBytes) bool { return bytes.Equal(x, y) })
}
