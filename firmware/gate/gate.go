// Package gate decides whether a version on trial is good (S-104): everything that
// makes a node a node must hold for a time without a break, within a deadline. It
// is pure: it is given the time and what was observed.
package gate

import (
	"fmt"
	"strings"
	"time"
)

// Finding is one thing that was looked at.
type Finding struct {
	OK  bool
	Why string // if not: for people
}

// Observation is what is looked at, all at one moment.
type Observation struct {
	Dataplane    Finding // it forwards packets
	Neighbours   Finding // both announce this node; all of them, where there are fewer
	ControlPlane Finding // the configuration service and the other members are reachable
	State        Finding // the flow state of this node and of its neighbours is complete
}

// checks are the findings by name, in the order in which people should read them.
func (o Observation) checks() []check {
	return []check{
		{"the dataplane does not forward", o.Dataplane}, {"the neighbours do not announce this node", o.Neighbours},
		{"the control plane is not reachable", o.ControlPlane}, {"state is not complete", o.State},
	}
}

type check struct {
	fault string
	Finding
}

// Limits are durations since the boot, or since the gate was made.
type Limits struct {
	Hold     time.Duration // how long all must be well without a break
	Deadline time.Duration // when the gate gives up; longer than Hold
	// Silence is how far two observations may lie apart: what happened in between
	// was not seen, so a longer gap breaks the hold.
	Silence time.Duration
}

// DefaultLimits suit a node whose neighbours are up.
var DefaultLimits = Limits{Hold: 30 * time.Second, Deadline: 5 * time.Minute, Silence: 5 * time.Second}

// Check refuses limits that no version could meet.
func (l Limits) Check() error {
	switch {
	case l.Hold <= 0 || l.Silence <= 0:
		return fmt.Errorf("health gate: hold %v, silence %v: want more than 0", l.Hold, l.Silence)
	case l.Deadline <= l.Hold:
		return fmt.Errorf("health gate: the deadline of %v leaves no time before the %v that health must hold", l.Deadline, l.Hold)
	}
	return nil
}

// Decision is what the gate has come to.
type Decision uint8

// Decisions.
const (
	Wait Decision = iota
	Commit
	GoBack
)

func (d Decision) String() string { return [...]string{"wait", "commit", "go back"}[d] }

// Verdict is the gate's answer.
type Verdict struct {
	Decision Decision
	// Reasons say why to go back, or what is waited for.
	Reasons []string
	Held    time.Duration // for so long all has been well
	Left    time.Duration // until the deadline
}

// Reason is all of them in one line.
func (v Verdict) Reason() string { return strings.Join(v.Reasons, "; ") }

// Gate watches one trial. Once it has decided it does not change its mind.
type Gate struct {
	limits Limits
	start  time.Time
	// well is since when all has been well; zero: it is not.
	well, last time.Time
	faults     []string // of the last observation
	longest    time.Duration
	broke      string // what ended the longest hold
	decided    *Verdict
}

// New begins to watch.
func New(limits Limits, start time.Time) *Gate {
	return &Gate{limits: limits, start: start, last: start, faults: []string{"nothing has been observed"}}
}

// Limit changes the limits: the configuration may come later than the trial begins.
func (g *Gate) Limit(l Limits) { g.limits = l }

// Observe takes what was found at a moment, which is later than the last.
func (g *Gate) Observe(now time.Time, o Observation) Verdict {
	if g.decided != nil {
		return *g.decided
	}
	g.notice(now)
	g.last, g.faults = now, nil
	for _, c := range o.checks() {
		if c.OK {
			continue
		}
		fault := c.fault
		if c.Why != "" {
			fault += ": " + c.Why
		}
		g.faults = append(g.faults, fault)
	}
	switch {
	case len(g.faults) > 0:
		g.stop(now, strings.Join(g.faults, "; "))
	case g.well.IsZero():
		g.well = now
	}
	return g.judge(now)
}

// Tick is for when there is nothing to observe, such as when asking takes too long.
func (g *Gate) Tick(now time.Time) Verdict {
	if g.decided != nil {
		return *g.decided
	}
	g.notice(now)
	return g.judge(now)
}

// Fail ends the trial at once: something happened after which no waiting helps.
func (g *Gate) Fail(now time.Time, reason string) Verdict {
	if g.decided == nil {
		g.decided = &Verdict{Decision: GoBack, Reasons: []string{reason}, Left: g.left(now)}
	}
	return *g.decided
}

// notice breaks the hold if nobody has looked for too long.
func (g *Gate) notice(now time.Time) {
	if gap := now.Sub(g.last); gap > g.limits.Silence {
		fault := fmt.Sprintf("nothing was observed for %v", gap.Round(time.Millisecond))
		g.stop(g.last, fault)
		g.faults = []string{fault}
	}
}

// stop ends a hold.
func (g *Gate) stop(now time.Time, why string) {
	if g.well.IsZero() {
		return
	}
	if held := now.Sub(g.well); held >= g.longest {
		g.longest, g.broke = held, why
	}
	g.well = time.Time{}
}

func (g *Gate) left(now time.Time) time.Duration {
	return max(g.start.Add(g.limits.Deadline).Sub(now), 0)
}

// judge commits before it gives up: what has held for long enough is good.
func (g *Gate) judge(now time.Time) Verdict {
	v := Verdict{Left: g.left(now), Reasons: g.faults}
	if !g.well.IsZero() {
		v.Held = g.last.Sub(g.well)
	}
	switch {
	case !g.well.IsZero() && v.Held >= g.limits.Hold:
		v.Decision = Commit
	case v.Left == 0:
		v.Decision, v.Reasons = GoBack, g.why(v.Held)
	default:
		return v
	}
	g.decided = &v
	return v
}

// why sums up a trial that has run out of time.
func (g *Gate) why(held time.Duration) []string {
	reasons := append([]string(nil), g.faults...)
	switch {
	case held > 0:
		reasons = append(reasons, fmt.Sprintf("all was well for %v of %v when the time was over", held.Round(time.Millisecond), g.limits.Hold))
	case g.longest > 0:
		reasons = append(reasons, fmt.Sprintf("before that all was well for %v of %v", g.longest.Round(time.Millisecond), g.limits.Hold))
	}
	if g.broke != "" && held > 0 {
		reasons = append(reasons, "before that: "+g.broke)
	}
	return reasons
}
