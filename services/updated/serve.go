package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"weir/firmware/release"
	"weir/firmware/trial"
	"weir/services/api"
)

// server answers operators, and those who speak for them: console, noded, weirctl.
type server struct {
	api.UnimplementedUpdateServer
	*daemon
}

// ready refuses what needs slots where there are none. Who calls it holds mu.
func (d *daemon) ready() error {
	if d.noNode != nil {
		return status.Error(codes.FailedPrecondition, d.without().Error())
	}
	return nil
}

func notNow(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

// Check looks at a repository or a bundle.
func (s server) Check(ctx context.Context, r *api.UpdateCheckRequest) (*api.UpdateCheck, error) {
	if err := checkBundle(r.Bundle); err != nil {
		return nil, err
	}
	c := s.check(ctx, r.Bundle)
	if r.Bundle == "" {
		s.mu.Lock()
		s.checked = c
		s.mu.Unlock()
	}
	return c, nil
}

func checkBundle(path string) error {
	if path != "" && !filepath.IsAbs(path) {
		return status.Errorf(codes.InvalidArgument, "%q is not an absolute path on the node", path)
	}
	return nil
}

// Install begins a job, or follows the one that is the same.
func (s server) Install(r *api.UpdateInstallRequest, to grpc.ServerStreamingServer[api.UpdateProgress]) error {
	number, err := s.accept(r)
	if err != nil {
		return err
	}
	return s.follow(to, number)
}

func (d *daemon) accept(r *api.UpdateInstallRequest) (number uint64, err error) {
	if err := checkBundle(r.Bundle); err != nil {
		return 0, err
	}
	if r.Version != "" {
		if err := release.CheckVersion(r.Version); err != nil {
			return 0, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ready(); err != nil {
		return 0, err
	}
	wanted := job{Version: r.Version, Bundle: r.Bundle, Try: r.Try}
	j := d.wishes.Job
	switch {
	case d.record.State == trial.Tried:
		return 0, notNow("version %s is on trial: wait for its end, or roll it back", d.record.Image(d.record.Trial).Version)
	case d.wishes.Paused:
		return 0, notNow("updates of this node are paused: resume them first")
	case j != nil && j.same(wanted):
		return d.number, nil
	case j != nil && !j.Ahead:
		return 0, notNow("version %s is being installed: wait for its end, or roll back to give it up", cmp.Or(j.Version, d.progress.GetVersion(), "(the newest)"))
	}
	d.order(wanted)
	if d.stop != nil {
		d.stop() // what the schedule was bringing
	}
	return d.number, nil
}

// followEvery is between two looks at a job that is followed.
const followEvery = 100 * time.Millisecond

// follow tells the progress of a job until it ends.
func (d *daemon) follow(to grpc.ServerStreamingServer[api.UpdateProgress], number uint64) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var told *api.UpdateProgress
	for {
		p, ended := d.seen(number)
		if p != nil && (told == nil || !proto.Equal(p, told)) {
			if err := to.Send(p); err != nil {
				return err
			}
			told = p
		}
		if ended {
			return nil
		}
		select {
		case <-to.Context().Done():
			return to.Context().Err()
		case <-tick.C:
		}
	}
}

// seen is how far a job is; nil: nothing to tell.
func (d *daemon) seen(number uint64) (p *api.UpdateProgress, ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.number != number:
		return &api.UpdateProgress{Phase: "failed", Error: "another job has taken its place"}, true
	case d.wishes.Job == nil:
		return d.last, true
	case d.wishes.Paused:
		return &api.UpdateProgress{Phase: "paused", Version: d.progress.GetVersion(), Source: d.progress.GetSource()}, false
	}
	return d.progress, false
}

// hold waits until the goroutine that turns is between two steps. Who asks must
// not wait for a download, so a job is refused before.
func (d *daemon) hold() (done func(), err error) {
	d.mu.Lock()
	err = d.ready()
	if err == nil && d.stop != nil {
		err = notNow("version %s is being installed: wait for its end, or pause", cmp.Or(d.progress.GetVersion(), "(the newest)"))
	}
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	d.busy.Lock()
	return func() { d.busy.Unlock(); d.nudge() }, nil
}

// Try restarts the machine into what is installed.
func (s server) Try(context.Context, *api.UpdateTryRequest) (*api.UpdateReply, error) {
	done, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer done()
	s.mu.Lock()
	r, running := s.record, s.node.Running()
	s.mu.Unlock()
	if r.State == trial.Tried {
		return nil, notNow("version %s is on trial already", r.Image(r.Trial).Version)
	}
	other := *r.Image(running.Other())
	if other.Status < trial.Untried {
		return nil, notNow("slot %v is %v: install a version first", running.Other(), other.Status)
	}
	return s.restartInto(other.Version)
}

// restartInto tries the other slot. Who calls it holds busy.
func (d *daemon) restartInto(version string) (*api.UpdateReply, error) {
	if err := d.try(); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	d.log.Info("an operator has the other slot tried", "version", version)
	return &api.UpdateReply{Done: fmt.Sprintf("the machine restarts into version %s; it stays if it proves good", version)}, nil
}

// RollBack ends a trial; without one it tries the version of before.
func (s server) RollBack(_ context.Context, q *api.UpdateRollBackRequest) (*api.UpdateReply, error) {
	done, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer done()
	s.mu.Lock()
	r, running := s.record, s.node.Running()
	s.mu.Unlock()
	reason := cmp.Or(q.Reason, "no reason was given")
	other := r.Image(running.Other())
	switch {
	case r.State == trial.Tried && r.Trial != running:
		err := s.node.Cancel()
		s.refresh()
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		return &api.UpdateReply{Done: fmt.Sprintf("version %s is not tried", r.Image(r.Trial).Version)}, nil
	case r.State == trial.Tried:
		if err := s.node.RollBack("an operator rolled version " + s.world.version + " back: " + reason); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		s.refresh()
		return &api.UpdateReply{Done: fmt.Sprintf("the trial has ended: the machine restarts into version %s", other.Version)}, nil
	case other.Status != trial.Good:
		return nil, notNow("slot %v holds nothing that this node has run well (%v): there is no version to go back to", running.Other(), other.Status)
	}
	s.mu.Lock()
	s.wishes.Job = nil // what was wanted before is not wanted any more
	_ = s.keep()
	s.mu.Unlock()
	return s.restartInto(other.Version)
}

// Pause stops job and schedule.
func (s server) Pause(context.Context, *api.UpdatePauseRequest) (*api.UpdateReply, error) {
	return s.pause(true)
}

// Resume lets them go on.
func (s server) Resume(context.Context, *api.UpdateResumeRequest) (*api.UpdateReply, error) {
	return s.pause(false)
}

func (d *daemon) pause(on bool) (*api.UpdateReply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wishes.Paused, d.again = on, 0
	if err := d.keep(); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if on && d.stop != nil {
		d.stop()
	}
	d.nudge()
	if on {
		return &api.UpdateReply{Done: "updates of this node are paused"}, nil
	}
	return &api.UpdateReply{Done: "updates of this node go on"}, nil
}
