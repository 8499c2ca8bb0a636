package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"weir/firmware/refusal"
	"weir/firmware/release"
	"weir/firmware/trial"
	"weir/services/api"
	"weir/services/updated/plan"
)

// watch gives the gate one look at the node.
func (d *daemon) watch(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	s, err := d.world.status(ask)
	cancel()
	if ctx.Err() != nil {
		return
	}
	o := plan.Silent(cmp.Or(err, context.DeadlineExceeded))
	if err == nil {
		o = d.observer.Observe(s)
	}
	v := d.gate.Observe(d.clock(), o)
	d.mu.Lock()
	before := d.verdict
	d.verdict = v
	d.mu.Unlock()
	if v.Reason() != before.Reason() || v.Decision != before.Decision {
		d.log.Info("health of the version on trial", "decision", v.Decision, "reason", v.Reason())
	}
}

// commit makes the version that runs the one that every boot starts.
func (d *daemon) commit() {
	err := d.node.Commit()
	d.refresh()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(ofTrial, wrapped("commit version "+d.world.version, err))
	if err != nil {
		return
	}
	d.log.Info("this version has proved good and is committed", "version", d.world.version, "slot", d.record.Committed)
}

// goBack ends the trial. The machine restarts also if the record cannot be changed:
// a boot of the committed slot finds that the trial did not end well.
func (d *daemon) goBack(ctx context.Context, reason string) {
	err := d.node.RollBack("version " + d.world.version + " is not well: " + reason)
	d.refresh()
	d.mu.Lock()
	d.note(ofTrial, wrapped("go back from version "+d.world.version, err))
	d.log.Error("this version has not proved good: the machine restarts into the one before", "version", d.world.version, "reason", reason)
	d.mu.Unlock()
	d.end(ctx)
}

// wrapped says what was being done; nil stays nil.
func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// restartAgain is how long a restart of the machine may take before it is asked for
// again: init stops the services first.
const restartAgain = time.Minute

// way is how the machine is to restart: by kexec into what is to be tried, where the
// configuration wants that and the kernel can, and else through the firmware. Who calls
// it holds busy.
func (d *daemon) way() string {
	d.mu.Lock()
	ahead := d.settings.now.Kexec && d.record.State == trial.Tried && d.record.Trial != d.node.Running()
	d.mu.Unlock()
	if !ahead {
		return "reboot"
	}
	if err := d.node.Load(); err != nil {
		d.log.Warn("the firmware starts the version that is to be tried", "error", err)
		return "reboot"
	}
	return "kexec"
}

// end restarts the machine, and reports whether it does. Who calls it holds busy.
func (d *daemon) end(ctx context.Context) bool {
	d.mu.Lock()
	waits := d.world.uptime() < d.ending
	d.mu.Unlock()
	if waits {
		return true
	}
	how := d.way()
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := d.world.restart(ask, how)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(ofRestart, wrapped("restart the machine", err))
	if err != nil {
		return false
	}
	d.ending = d.world.uptime() + restartAgain
	d.log.Info("the machine restarts", "how", how)
	return true
}

// trialTime is what the hardware's timer gives a version on trial to reach user
// space.
const trialTime = 2 * time.Minute

// tryInstalled makes the next boot the trial of what the job has installed.
func (d *daemon) tryInstalled() {
	err := d.try()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finish(err)
}

// try makes the next boot the trial of the other slot. Who calls it holds busy.
func (d *daemon) try() error {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	err := d.node.Try(binary.BigEndian.Uint64(b[:])|1, trialTime)
	d.refresh()
	return err
}

// work is one attempt at the job.
func (d *daemon) work(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	j := d.wishes.Job
	if j == nil || d.wishes.Paused { // since the facts were gathered
		d.mu.Unlock()
		return
	}
	mine := *j
	d.stop = cancel
	d.mu.Unlock()
	err := d.install(ctx, mine)
	d.refresh()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop = nil
	switch {
	case d.wishes.Job != j:
		return // another has taken its place
	case err == nil && mine.Try:
		d.wishes.Job.Installed, d.wishes.Job.Tries, d.failures = true, d.record.Tries, 0
		_ = d.keep()
		d.nudge()
	case err == nil || final(mine, err) && ctx.Err() == nil:
		d.finish(err)
	case ctx.Err() != nil:
		d.say("paused", "")
	default:
		d.failures++
		d.again = d.world.uptime() + plan.Backoff(d.failures, d.world.random())
		d.say("waits", err.Error())
		d.log.Warn("the upgrade waits", "error", err)
	}
}

// finish ends the job. Who calls it holds mu.
func (d *daemon) finish(err error) {
	d.say("done", "")
	p := d.progress
	if err != nil {
		p.Phase, p.Error, p.Refusal = "failed", err.Error(), string(refusal.Of(err))
		d.log.Error("an upgrade has failed", "version", p.Version, "error", err)
	} else {
		d.log.Info("an upgrade's files are where they belong", "version", p.Version, "state", d.record.State)
	}
	d.last, d.progress, d.failures, d.again = p, nil, 0, 0
	d.wishes.Job = nil
	_ = d.keep()
}

// report tells how far the job is.
func (d *daemon) report(phase, version string, bytes, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turned = d.world.uptime()
	source := ""
	if d.wishes.Job != nil {
		source = cmp.Or(d.wishes.Job.Bundle, d.settings.now.Repository)
	}
	d.progress = &api.UpdateProgress{Phase: phase, Version: version, Bytes: bytes, Size: size, Source: source}
}

// say changes the phase. Who calls it holds mu.
func (d *daemon) say(phase, why string) {
	p := &api.UpdateProgress{Phase: phase, Error: why}
	if d.progress != nil {
		p.Version, p.Source = d.progress.Version, d.progress.Source
	}
	d.progress = p
}

// lookBySchedule looks at the repository, and brings a newer version to the node.
// It is installed and tried on command: one node of a cluster at a time.
func (d *daemon) lookBySchedule(ctx context.Context) {
	c := d.check(ctx, "")
	if ctx.Err() != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked = c
	d.nextLook = d.world.uptime() + plan.Pause(d.interval, false, d.world.random())
	if c.Error != "" {
		d.log.Warn("the schedule's look at the repository", "error", c.Error)
		return
	}
	if d.wishes.Job != nil || c.Newest == "" || release.CheckVersion(d.world.version) == nil && release.Compare(c.Newest, d.world.version) <= 0 {
		return
	}
	other := d.record.Image(d.node.Running().Other())
	if other.Version == c.Newest && other.Status >= trial.Untried {
		return // it is there, or has failed here
	}
	d.order(job{Version: c.Newest, Ahead: true})
}

// order begins a job. Who calls it holds mu.
func (d *daemon) order(j job) {
	d.number++
	d.wishes.Job, d.failures, d.again = &j, 0, 0
	d.progress = &api.UpdateProgress{Phase: "waits", Version: j.Version, Source: cmp.Or(j.Bundle, d.settings.now.Repository)}
	_ = d.keep()
	d.nudge()
}
