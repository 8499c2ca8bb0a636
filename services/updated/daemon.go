package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"weir/firmware/gate"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/services/api"
	"weir/services/config"
	"weir/services/updated/plan"
)

// daemon is the program: one goroutine turns, asks plan what is next and does it;
// calls change what it finds at its next turn.
type daemon struct {
	log      *slog.Logger
	world    *world
	stateDir string
	runDir   string
	wake     chan struct{}
	looking  sync.Mutex // one look at a source at a time

	// Of the goroutine that turns, and of calls that hold busy.
	busy     sync.Mutex
	node     upgrader // nil: there are no slots, see noNode
	observer plan.Observer
	gate     *gate.Gate
	begun    time.Time // of the kernel's life

	mu       sync.Mutex // guards the rest
	settings settings
	wishes   wishes
	noNode   error
	record   trial.Record // as last read
	boot     boot
	verdict  gate.Verdict
	told     bool             // the boot server knows the verdict
	faults   map[string]error // what an operator should look at, by what it is of
	ending   time.Duration    // uptime before which the machine is not told again to restart
	stop     func()           // ends the work at the job; nil: there is none
	turned   time.Duration    // uptime of the last sign of life
	again    time.Duration    // uptime before which the job is not tried
	failures int              // of the job, in a row
	nextLook time.Duration    // uptime of the schedule's next look; 0: none
	interval time.Duration    // that nextLook was planned for
	number   uint64           // of the last job
	progress *api.UpdateProgress
	last     *api.UpdateProgress // how the last job ended
	checked  *api.UpdateCheck
}

func newDaemon(log *slog.Logger, w *world, configFile, runDir, stateDir string) *daemon {
	d := &daemon{log: log, world: w, stateDir: stateDir, runDir: runDir, wake: make(chan struct{}, 1), settings: settings{path: configFile},
		faults: map[string]error{}, noNode: errors.New("the slots were not looked for yet"), verdict: gate.Verdict{Reasons: []string{"nothing has been observed"}}}
	d.begun = w.now().Add(-w.uptime())
	d.note(ofFiles, load(d.path("wishes.json"), &d.wishes))
	d.turned = w.uptime()
	return d
}

// path is where updated keeps a file over restarts of the machine.
func (d *daemon) path(name string) string { return filepath.Join(d.stateDir, "firmware", name) }

// clock is a time that no setting of the clock moves.
func (d *daemon) clock() time.Time { return d.begun.Add(d.world.uptime()) }

func (d *daemon) updates() *config.Updates {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.settings.now
	return &u
}

// What faults are of.
const (
	ofFiles   = "files"
	ofBoot    = "boot"
	ofRecord  = "record"
	ofTrial   = "trial"
	ofRestart = "restart"
	ofServer  = "server"
)

// note remembers what an operator should look at; nil: all is well again. Who
// calls it holds mu, but for newDaemon.
func (d *daemon) note(of string, err error) {
	if before := d.faults[of]; err != nil && (before == nil || before.Error() != err.Error()) {
		d.log.Error("upgrades", "error", err)
	}
	d.faults[of] = err
}

// keep writes the wishes. Who calls it holds mu.
func (d *daemon) keep() error {
	err := save(d.path("wishes.json"), d.wishes)
	d.note(ofFiles, err)
	return err
}

// run turns until ctx ends.
func (d *daemon) run(ctx context.Context) {
	for ctx.Err() == nil {
		d.turn(ctx)
		timer := time.NewTimer(d.world.pace)
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// nudge wakes the goroutine that turns.
func (d *daemon) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// turn does what is next.
func (d *daemon) turn(ctx context.Context) {
	d.configure()
	d.busy.Lock()
	defer d.busy.Unlock()
	d.alive()
	if d.node == nil && !d.hasNoSlots() {
		d.open()
	}
	step := plan.Next(d.facts())
	if step != plan.Rest && step != plan.Watch {
		d.log.Debug("next", "step", step)
	}
	switch step {
	case plan.Watch:
		d.watch(ctx)
	case plan.Commit:
		d.commit()
	case plan.GoBack:
		d.goBack(ctx, d.verdictNow().Reason())
	case plan.Again:
		d.begin()
	case plan.Restart:
		d.end(ctx)
	case plan.Work:
		d.work(ctx)
	case plan.Try:
		d.tryInstalled()
	case plan.Look:
		d.lookBySchedule(ctx)
	case plan.Tell:
		d.tell(ctx)
	}
}

// alive is a sign of life for the watchdog.
func (d *daemon) alive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turned = d.world.uptime()
}

// configure takes a configuration that has changed in force.
func (d *daemon) configure() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.settings.read() {
		return
	}
	now := d.world.uptime()
	if u := &d.settings.now; u.Interval != d.interval {
		d.interval, d.nextLook = u.Interval, 0
		if u.Interval > 0 {
			d.nextLook = now + plan.Pause(u.Interval, true, d.world.random())
		}
	}
	if g := d.settings.now.Gate; d.wishes.Gate == nil || *d.wishes.Gate != g {
		d.wishes.Gate = &g
		_ = d.keep() // and noted
	}
	if d.gate != nil {
		d.gate.Limit(d.settings.limits(nil))
	}
}

// hasNoSlots: this boot came from none, and never will have.
func (d *daemon) hasNoSlots() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.noNode == slots.ErrNotFromSlot // one that names a partition waits for its disk
}

// open finds the slots, and decides what this boot is.
func (d *daemon) open() {
	n, err := d.world.open()
	var b boot
	var r trial.Record
	if err == nil {
		if b, err = decide(filepath.Join(d.runDir, "updated-boot.json"), d.world, n); err == nil {
			r, err = n.Record()
		}
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}
	if err != nil {
		d.withoutSlots(err)
		return
	}
	d.gate = gate.New(d.limits(), d.begun.Add(b.Uptime))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.node, d.noNode, d.record, d.boot, d.verdict = n, nil, r, b, d.gate.Tick(d.clock())
	if b.Fault != "" {
		d.note(ofBoot, errors.New(b.Fault))
	}
	if j := d.wishes.Job; j != nil && j.Installed && j.Tries != r.Tries {
		d.wishes.Job = nil // it has been tried since
		_ = d.keep()
	}
	if b.Say != "" {
		d.log.Info(b.Say)
	}
}

// withoutSlots goes on without them. A machine that was booted over the network has
// its version watched all the same.
func (d *daemon) withoutSlots(err error) {
	d.mu.Lock()
	if !errors.Is(err, slots.ErrNotFromSlot) && d.noNode.Error() != err.Error() {
		d.log.Error("this node cannot be upgraded", "error", err)
	}
	d.noNode = err
	d.mu.Unlock()
	if d.world.server != nil && d.gate == nil {
		d.begin()
	}
}

// begin has the gate begin anew.
func (d *daemon) begin() {
	d.gate = gate.New(d.limits(), d.clock())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.verdict, d.told = d.gate.Tick(d.clock()), false
}

func (d *daemon) limits() gate.Limits {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings.limits(d.wishes.Gate)
}

// refresh reads the record. Who calls it holds busy.
func (d *daemon) refresh() {
	r, err := d.node.Record()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.note(ofRecord, fmt.Errorf("the record of upgrades: %w", err))
		return
	}
	d.note(ofRecord, nil)
	d.record = r
}

func (d *daemon) verdictNow() gate.Verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.verdict
}

func (d *daemon) facts() plan.Facts {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.world.uptime()
	f := plan.Facts{Record: d.record, Proving: d.boot.Prove, MayGoBack: d.boot.MayGoBack, Verdict: d.verdict.Decision,
		Served: d.world.server != nil, Told: d.told, Paused: d.wishes.Paused, LookDue: d.nextLook > 0 && now >= d.nextLook}
	if d.node != nil {
		f.Running = d.node.Running()
	}
	if j := d.wishes.Job; j != nil {
		f.Job, f.TryAfter = !j.Installed && now >= d.again, j.Installed && j.Try
	}
	return f
}
