package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"weir/firmware/refusal"
	"weir/firmware/release"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/firmware/trust"
	"weir/services/updated/remote"
)

// install brings the job's version into the other slot. It can be called again
// after whatever interrupted it: what is there is not done twice.
func (d *daemon) install(ctx context.Context, j job) error {
	d.report("verifies", j.Version, 0, 0)
	s, err := d.look(ctx, j.Bundle)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.pick(j.Version)
	if err != nil {
		return err
	}
	f, _ := r.File(release.Unified) // Select has seen it
	sum, err := digest(f)
	if err != nil {
		return err
	}
	rec, err := d.node.Record()
	if err != nil {
		return err
	}
	if other := rec.Image(d.node.Running().Other()); other.SHA256 == sum && other.Status >= trial.Untried {
		d.report("verifies", r.Version, 0, 0)
		return nil
	}
	in, err := d.fetch(ctx, s, r, f)
	if err != nil {
		return err
	}
	defer in.Close()
	if j.Ahead {
		return nil
	}
	d.report("writes", r.Version, 0, 2*f.Size)
	err = d.node.Install(ctx, r.Version, slots.Image{From: in, Size: f.Size, SHA256: sum, Progress: func(n int64) { d.report("writes", r.Version, n, 2*f.Size) }})
	switch {
	case errors.Is(err, slots.ErrTooSmall):
		return &refusal.Error{Reason: refusal.NoRoom, What: "version " + r.Version, Err: err, Remedy: "use a larger disk, or install the node anew on one"}
	case err != nil && ctx.Err() == nil:
		return permanent{err} // the disk's, or the state of another upgrade
	case err != nil:
		return err
	}
	return d.downloads().Clear("")
}

// fetch gives the verified file. Nothing is written to a slot before all of it was
// compared with what was signed.
func (d *daemon) fetch(ctx context.Context, s *source, r release.Release, f release.File) (io.ReadCloser, error) {
	repository, isRemote := s.Source.(*remote.Repository)
	if !isRemote {
		err := trust.CheckFiles(ctx, s.Source, r, func(n int64) { d.report("verifies", r.Version, n, r.Size()) })
		if err != nil {
			return nil, err
		}
		return trust.Open(ctx, s.Source, f)
	}
	d.report("downloads", r.Version, 0, f.Size)
	path, err := d.downloads().Download(ctx, repository, f, func(n int64) { d.report("downloads", r.Version, n, f.Size) })
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func (d *daemon) downloads() remote.Folder { return remote.Folder(d.path("download")) }

func digest(f release.File) (sum [32]byte, err error) {
	b, err := hex.DecodeString(f.SHA256)
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("%s has the SHA-256 %.80q", f.Name, f.SHA256)
	}
	return [32]byte(b), nil
}

// permanent is an error that no further attempt would end.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// final reports that another attempt makes no sense. What a repository says may
// be mended there; the operator or the schedule asks again.
func final(j job, err error) bool {
	var p permanent
	return refusal.Of(err) != "" || errors.As(err, &p) || j.Bundle != ""
}
