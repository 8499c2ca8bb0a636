package report

import (
	"fmt"
	"strings"

	"weir/services/api"
	"weir/services/console/facts"
)

// Progress is how far a job is, in words.
func Progress(p *api.UpdateProgress) string {
	line := strings.TrimSpace(p.Phase + " " + p.Version)
	if p.Size > 0 {
		line += fmt.Sprintf(" %d%% of %s", p.Bytes*10/p.Size*10, Bytes(uint64(p.Size)))
	}
	if p.Error != "" {
		line += ": " + p.Error
	}
	return line
}

// Upgrade is how the image stands, in words.
func Upgrade(s *api.UpdateStatus) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	add("version %s runs", s.Version)
	if s.Target != "" {
		add("the last upgrade, to %s in slot %s, is %s", s.Target, s.TargetSlot, s.State)
	}
	if s.Reason != "" {
		add("reason: %s", s.Reason)
	}
	if t := s.Trial; t != nil {
		out = append(out, trial(s)...)
		if t.Stays {
			add("it stays in any case: the other slot does not start")
		}
	}
	if s.Job != nil {
		add("job: %s", Progress(s.Job))
	}
	if s.Repository != "" {
		add("repository %s%s", s.Repository, map[bool]string{true: ", paused"}[s.Paused])
	}
	for _, why := range []string{s.Error, s.Fault} {
		if why != "" {
			add("%s", why)
		}
	}
	return out
}

func trial(s *api.UpdateStatus) []string {
	t := s.Trial
	out := []string{fmt.Sprintf("version %s is on trial: well for %.0f of %.0f s, %.0f s left", s.Version, t.HeldSeconds, t.HoldSeconds, t.LeftSeconds)}
	if len(t.WaitsFor) > 0 {
		out = append(out, strings.Join(t.WaitsFor, "; "))
	}
	return out
}

// upgradeText is nothing on a node where nothing is under way.
func upgradeText(f *facts.Facts) []string {
	switch s := f.Update; {
	case s == nil:
		return nil
	case s.Trial != nil:
		return trial(s)
	case s.Job != nil:
		return []string{Progress(s.Job)}
	}
	return nil
}

func upgradeProblems(f *facts.Facts) (out []Problem) {
	s := f.Update
	if s == nil {
		return nil
	}
	if s.State == "rolled back" {
		out = append(out, Problem{What: "the last upgrade was rolled back: " + s.Reason, Remedy: "see: upgrades"})
	}
	if s.Fault != "" {
		out = append(out, Problem{What: "upgrades: " + s.Fault, Remedy: "see: logs updated"})
	}
	return out
}
