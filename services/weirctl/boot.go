package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/services/api"
)

// span is a time in words, as long as it must be; empty: none.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d <= 0:
		return ""
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%.1fs", seconds)
}

// printBoots is how the appliances among the nodes came up: times are from the
// start of the kernel.
func (s *clusterStatus) printBoots(t *table) {
	booted := slices.DeleteFunc(slices.Clone(s.Nodes), func(n nodeRow) bool { return n.Boot == nil })
	if len(booted) == 0 {
		return
	}
	fmt.Fprintln(t)
	t.row("BOOTED", "IMAGE", "SLOT", "CONFIGURATION", "STATE DISK", "INIT DONE", "FORWARDS", "STATE COMPLETE", "ANNOUNCED", "READY")
	for _, n := range booted {
		b, m := n.Boot, n.Milestones
		source := orDash(b.ConfigSource)
		if b.ConfigLastGood {
			source += " (last good)"
		}
		t.row(n.ID, orDash(b.Version), orDash(b.Slot), source, orDash(b.GetState().GetMode()), orDash(span(initDone(b))),
			orDash(span(m.GetDataplaneReady())), orDash(span(m.GetStateComplete())), orDash(span(m.GetAnnounced())), orDash(span(m.GetTrafficReady())))
	}
	fmt.Fprintln(t)
	t.row("PHASES", "SECONDS")
	for _, n := range booted {
		t.row(n.ID, phases(n.Boot))
	}
}

// initDone is when the last phase ended; 0: one has not.
func initDone(b *api.BootStatus) (at float64) {
	for _, p := range b.Phases {
		if p.Result == "pending" || p.Result == "running" {
			return 0
		}
		at = max(at, p.StartedSeconds+p.TookSeconds)
	}
	return at
}

// phases are all of them with their times, in a line.
func phases(b *api.BootStatus) string {
	var out []string
	for _, p := range b.Phases {
		text := fmt.Sprintf("%s %.1f", p.Name, p.TookSeconds)
		if p.Result != "ok" {
			text += " " + p.Result
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
