package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/firmware/release"
	"weir/firmware/slots"
	"weir/firmware/trial"
	"weir/services/api"
)

// Status is how the image of this node stands.
func (s server) Status(context.Context, *api.UpdateStatusRequest) (*api.UpdateStatus, error) {
	d := s.daemon
	d.mu.Lock()
	defer d.mu.Unlock()
	out := &api.UpdateStatus{Version: d.world.version, Compatible: release.Compatible, Paused: d.wishes.Paused,
		Repository: d.settings.now.Repository, Checked: d.checked, LastJob: d.last, Fault: d.attention()}
	if d.nextLook > 0 {
		out.NextCheckSeconds = max(0, (d.nextLook - d.world.uptime()).Seconds())
	}
	if d.wishes.Job != nil {
		out.Job = d.progress
		if d.wishes.Paused {
			out.Job = &api.UpdateProgress{Phase: "paused", Version: d.progress.GetVersion(), Source: d.progress.GetSource()}
		}
	}
	if d.noNode != nil {
		out.State, out.Error = trial.Idle.String(), d.without().Error()
		if d.world.server != nil && !d.told {
			out.Trial = d.trial()
		}
		return out, nil
	}
	d.tellRecord(out)
	return out, nil
}

// tellRecord adds what the record says. Who calls it holds mu.
func (d *daemon) tellRecord(out *api.UpdateStatus) {
	r, running := &d.record, d.node.Running()
	out.Slot, out.State, out.Reason = running.String(), r.State.String(), r.Reason
	if !r.Changed.IsZero() {
		out.Changed = stamp(r.Changed)
	}
	for _, at := range []trial.Slot{trial.A, trial.B} {
		i := r.Image(at)
		out.Slots = append(out.Slots, &api.UpdateSlot{Name: at.String(), Status: i.Status.String(), Version: i.Version, Running: at == running, Committed: at == r.Committed})
	}
	if r.Trial != trial.None {
		out.Target, out.TargetSlot = r.Image(r.Trial).Version, r.Trial.String()
	}
	if r.State == trial.Tried && d.boot.Prove {
		out.Trial = d.trial()
		out.Trial.Stays = !d.boot.MayGoBack
	}
}

// trial is the gate's view. Who calls it holds mu.
func (d *daemon) trial() *api.UpdateTrial {
	v, l := &d.verdict, d.settings.limits(d.wishes.Gate)
	return &api.UpdateTrial{Decision: v.Decision.String(), WaitsFor: v.Reasons, HeldSeconds: v.Held.Seconds(), HoldSeconds: l.Hold.Seconds(), LeftSeconds: v.Left.Seconds()}
}

// attention is what an operator should look at. Who calls it holds mu.
func (d *daemon) attention() string {
	var all []string
	for _, of := range slices.Sorted(maps.Keys(d.faults)) {
		if err := d.faults[of]; err != nil {
			all = append(all, err.Error())
		}
	}
	if d.settings.fault != nil {
		all = append(all, "the configuration of updates is not in force: "+d.settings.fault.Error())
	}
	return strings.ReplaceAll(strings.Join(all, "; "), "\n", "; ")
}

// without says why there is nothing to upgrade. Who calls it holds mu.
func (d *daemon) without() error {
	switch {
	case d.world.server != nil:
		return errors.New("this node boots over the network: the boot server decides which version it boots; see: weirctl machine list")
	case errors.Is(d.noNode, slots.ErrNotFromSlot):
		return fmt.Errorf("%w: install the image on a disk", d.noNode)
	}
	return d.noNode
}
