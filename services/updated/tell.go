package main

import (
	"context"
	"fmt"
	"time"

	"weir/firmware/gate"
	"weir/services/updated/plan"
)

// tell tells the boot server how this version does, and goes back if there is
// something to go back to.
func (d *daemon) tell(ctx context.Context) {
	v, failed := d.verdictNow(), ""
	if v.Decision == gate.GoBack {
		failed = v.Reason()
	}
	d.mu.Lock()
	waits := d.world.uptime() < d.again
	d.mu.Unlock()
	if waits {
		return
	}
	ask, cancel := context.WithTimeout(ctx, tellTimeout)
	before, err := d.world.server.Booted(ask, d.world.version, failed)
	cancel()
	if err != nil {
		before = d.untold(err)
	} else {
		d.wasTold(before)
	}
	switch {
	case err != nil && (failed == "" || before == "" || before == d.world.version):
		return
	case failed == "":
		d.log.Info("this version has proved good", "version", d.world.version, "boots_next", before)
	case before != "" && before != d.world.version:
		d.log.Error("this version has not proved good: the machine restarts into the one before", "version", d.world.version, "before", before, "reason", failed)
		if !d.end(ctx) {
			return
		}
	default:
		d.log.Error("this version is not well, and there is none to go back to", "version", d.world.version, "reason", failed)
		d.begin()
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = true
}

// untold notes that the server does not answer. A machine that is sick and cannot
// say so comes back without a word, which the server takes for a failure: untold
// gives what it was on before; empty: not yet, or nothing.
func (d *daemon) untold(err error) (before string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures++
	d.again = d.world.uptime() + plan.Backoff(d.failures, d.world.random())
	d.note(ofServer, fmt.Errorf("tell the boot server how version %s does: %w", d.world.version, err))
	if d.failures < tellAttempts {
		return ""
	}
	return d.wishes.Served
}

func (d *daemon) wasTold(committed string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures, d.again = 0, 0
	d.note(ofServer, nil)
	if d.wishes.Served != committed {
		d.wishes.Served = committed
		_ = d.keep()
	}
}

// tellTimeout bounds one word to the boot server, and after tellAttempts in vain a
// sick machine restarts.
const (
	tellTimeout  = 15 * time.Second
	tellAttempts = 3
)
