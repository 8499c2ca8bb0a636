package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"weir/firmware/refusal"
)

// Verifier is one look at a source at one time.
type Verifier struct {
	Root  []byte // the node's root.json; empty: it has none
	Store *Store // nil: nothing is remembered, so older metadata is not noticed
	Now   time.Time
}

// Refresh verifies the metadata of a source and gives the releases that it speaks
// of. All errors that come from the source's contents are refusals. New roots are
// remembered as soon as they are verified, the rest when all of it is.
func (v Verifier) Refresh(ctx context.Context, src Source) (c *Catalog, err error) {
	if len(v.Root) == 0 {
		return nil, refusal.New(refusal.NoRoot, "install an image that was built with make image TRUST=root.json", "this node has no trusted root, so it can verify no update")
	}
	remembered, err := v.Store.load()
	if err != nil {
		return nil, err
	}
	look := &look{Verifier: v, src: src, memory: remembered}
	// go-tuf reads JSON before it checks who has signed it, and a null in the
	// wrong place makes it panic.
	defer func() {
		if p := recover(); p != nil {
			c, err = nil, look.malformed(fmt.Errorf("%v", p))
		}
	}()
	if err := look.anchor(); err != nil {
		return nil, err
	}
	if err := look.roots(ctx); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{look.timestamp, look.snapshot, look.targets} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if c, err = look.catalog(); err != nil {
		return nil, err
	}
	look.memory.Floor = c.Floor
	return c, v.Store.save(look.memory)
}

// look is the state of one Refresh.
type look struct {
	Verifier
	src    Source
	set    *trustedmetadata.TrustedMetadata
	memory memory // becomes what is remembered next
}

// anchor begins with the root of the image and goes on through the remembered
// ones, as far as they follow from it.
func (l *look) anchor() (err error) {
	if l.set, err = trustedmetadata.New(l.Root); err != nil {
		return &refusal.Error{Reason: refusal.NoRoot, What: "the trusted root of this node is not usable", Err: err, Remedy: "install an image with a good one"}
	}
	l.set.RefTime = l.Now
	known := l.memory.Roots
	l.memory.Roots = nil
	for _, data := range known {
		before := l.set.Root.Signed.Version
		next, err := metadata.Root().FromBytes(data)
		if err != nil {
			break
		}
		if next.Signed.Version <= before {
			continue // the image has caught up
		}
		if _, err := l.set.UpdateRoot(data); err != nil {
			break
		}
		l.memory.Roots = append(l.memory.Roots, data)
	}
	return nil
}

// roots takes every newer root of the source: 5.3.
func (l *look) roots(ctx context.Context) error {
	for n := range MaxRotations {
		name := fmt.Sprintf("%d.root.json", l.set.Root.Signed.Version+1)
		data, err := l.src.Metadata(ctx, name, MaxRoot)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if n == 0 {
				return nil
			}
			return l.Store.save(l.memory)
		case err != nil:
			return l.unread(name, err)
		}
		if _, err := l.set.UpdateRoot(data); err != nil {
			return l.explainRoot(name, data, err)
		}
		l.memory.Roots = append(l.memory.Roots, data)
	}
	return refusal.New(refusal.Malformed, "install an image with a newer root", "%s has more than %d roots newer than this node's", l.src, MaxRotations)
}

// timestamp: 5.4. The remembered one goes first, so that an older one is noticed.
// It need not be usable any more: its time may be over, its key replaced.
func (l *look) timestamp(ctx context.Context) error {
	if l.memory.Timestamp != nil {
		_, _ = l.set.UpdateTimestamp(l.memory.Timestamp)
	}
	const name = "timestamp.json"
	data, err := l.src.Metadata(ctx, name, MaxTimestamp)
	if err != nil {
		return l.unread(name, err)
	}
	_, err = l.set.UpdateTimestamp(data)
	switch {
	case errors.Is(err, &metadata.ErrEqualVersionNumber{}):
		return nil
	case err != nil:
		return l.explain(name, metadata.TIMESTAMP, data, err)
	}
	l.memory.Timestamp = data
	return nil
}

// snapshot: 5.5.
func (l *look) snapshot(ctx context.Context) error {
	if l.memory.Snapshot != nil {
		if _, err := l.set.UpdateSnapshot(l.memory.Snapshot, true); err == nil {
			return nil
		}
	}
	want := l.set.Timestamp.Signed.Meta["snapshot.json"]
	name := fmt.Sprintf("%d.snapshot.json", want.Version)
	data, err := l.src.Metadata(ctx, name, limit(want.Length, MaxSnapshot))
	if err != nil {
		return l.unread(name, err)
	}
	if _, err := l.set.UpdateSnapshot(data, false); err != nil {
		return l.explain(name, metadata.SNAPSHOT, data, err)
	}
	l.memory.Snapshot = data
	return nil
}

// targets: 5.6. Delegations are not used, and not followed.
func (l *look) targets(ctx context.Context) error {
	if l.memory.Targets != nil {
		if _, err := l.set.UpdateTargets(l.memory.Targets); err == nil {
			return nil
		}
	}
	want := l.set.Snapshot.Signed.Meta["targets.json"]
	if want == nil {
		return l.malformed(errors.New("the snapshot does not speak of targets.json"))
	}
	name := fmt.Sprintf("%d.targets.json", want.Version)
	data, err := l.src.Metadata(ctx, name, limit(want.Length, MaxTargets))
	if err != nil {
		return l.unread(name, err)
	}
	if _, err := l.set.UpdateTargets(data); err != nil {
		return l.explain(name, metadata.TARGETS, data, err)
	}
	l.memory.Targets = data
	return nil
}

// limit is the signed length where there is one, and never more than the most
// that is read.
func limit(signed, most int64) int64 {
	if signed > 0 {
		return min(signed, most)
	}
	return most
}
