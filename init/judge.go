package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/init/ending"
	"weir/init/supervisor"
)

// judgeWait is for how long updated may not be ready on a version that is on trial.
const judgeWait = 3 * time.Minute

// judge sends a version on trial back that cannot run updated, which does that for
// all other faults (S-104): else it would stay, and nobody would notice.
func (n *node) judge(ctx context.Context) {
	if !absentFor(ctx, judgeWait, time.Second, n.updatedReady) {
		return
	}
	onTrial, err := runsOnTrial()
	switch {
	case err != nil:
		n.tell("whether this version is on trial is not known: " + err.Error())
	case onTrial:
		why := fmt.Sprintf("updated was not ready for %v, and this version is on trial", judgeWait)
		if err := n.end.Ask(ending.Reboot, why); err != nil {
			n.tell(err.Error())
		}
	}
}

// absentFor waits until something has not been there for so long without a break;
// false: ctx has ended before.
func absentFor(ctx context.Context, wait, every time.Duration, there func() bool) bool {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return false
		case now := <-tick.C:
			if there() {
				last = now
			} else if now.Sub(last) >= wait {
				return true
			}
		}
	}
}

func (n *node) updatedReady() bool {
	return slices.ContainsFunc(n.super.Status(), func(s supervisor.Status) bool { return s.Name == "updated" && s.State == supervisor.Ready })
}

// runsOnTrial asks the record of upgrades.
func runsOnTrial() (bool, error) {
	d, err := slots.Find("")
	if err != nil {
		return false, err
	}
	medium, err := d.Record()
	if err != nil {
		return false, err
	}
	defer medium.Close()
	r, err := trial.Load(medium)
	return r.State == trial.Tried && r.Trial == d.Running, err
}
