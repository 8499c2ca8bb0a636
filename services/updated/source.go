package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"weir/firmware/bundle"
	"weir/firmware/refusal"
	"weir/firmware/release"
	"weir/firmware/trust"
	"weir/services/api"
	"weir/services/updated/remote"
)

// source is a bundle or a repository, with what was verified of it.
type source struct {
	trust.Source
	io.Closer
	catalog *trust.Catalog
}

// look opens a source and verifies its metadata. Without a path it is the repository.
func (d *daemon) look(ctx context.Context, bundlePath string) (*source, error) {
	d.looking.Lock()
	defer d.looking.Unlock()
	s := &source{}
	switch u := d.updates(); {
	case bundlePath != "":
		b, err := bundle.OpenFile(bundlePath)
		if err != nil {
			return nil, err
		}
		s.Source, s.Closer = b, b
	case u.Repository == "":
		return nil, refusal.New(refusal.Missing, "give a bundle, or set updates.repository in node.yaml", "this node has no repository of updates")
	default:
		r := remote.Open(u.Repository, int64(u.Bandwidth))
		s.Source, s.Closer = r, r
	}
	root, err := os.ReadFile(d.world.root)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, s.Close())
	}
	v := trust.Verifier{Root: root, Store: &trust.Store{Path: d.path("trusted.json")}, Now: d.world.now()}
	if s.catalog, err = v.Refresh(ctx, s.Source); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// pick chooses what to install.
func (s *source) pick(version string) (release.Release, error) {
	return s.catalog.Select(s.Source, version, release.Compatible)
}

// check is a look for people.
func (d *daemon) check(ctx context.Context, bundlePath string) *api.UpdateCheck {
	c := &api.UpdateCheck{Source: bundlePath, Time: stamp(d.world.now())}
	if bundlePath == "" {
		c.Source = d.updates().Repository
	}
	s, err := d.look(ctx, bundlePath)
	if err == nil {
		defer s.Close()
		c.Floor, c.Expires = s.catalog.Floor, stamp(s.catalog.Expires)
		for _, r := range s.catalog.Releases {
			c.Versions = append(c.Versions, r.Version)
		}
		var r release.Release
		r, err = s.pick("")
		c.Newest = r.Version
	}
	if err != nil {
		c.Newest, c.Error, c.Refusal = "", err.Error(), string(refusal.Of(err))
	}
	return c
}
