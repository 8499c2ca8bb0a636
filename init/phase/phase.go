// Package phase keeps the list of phases that a boot consists of (S-101): what
// ran when, how it ended, and what to do about one that did not end well. Init
// runs them; its API and the console read them at any time.
package phase

import (
	"fmt"
	"strings"
	"time"
)

// Result is how a phase stands, in the words of the API.
type Result string

// A degraded phase left a node that works with less: what follows may use it. A
// failed one did not: what needs it is skipped.
const (
	Pending  Result = "pending"
	Running  Result = "running"
	OK       Result = "ok"
	Degraded Result = "degraded"
	Failed   Result = "failed"
	Skipped  Result = "skipped"
)

// Usable reports whether what needs the phase can be done.
func (r Result) Usable() bool { return r == OK || r == Degraded }

// Outcome is what a phase says at its end.
type Outcome struct {
	Result Result
	Reason string // why it is not ok; of an ok one a detail worth a word, or empty
	Remedy string // what an operator can do about it
}

// Done is the outcome of a phase that did all that it should.
func Done() Outcome { return Outcome{Result: OK} }

// Detail is Done with a word on what was found.
func Detail(format string, args ...any) Outcome {
	return Outcome{Result: OK, Reason: fmt.Sprintf(format, args...)}
}

// Degrade is the outcome of a phase that left the node with less.
func Degrade(remedy, format string, args ...any) Outcome {
	return Outcome{Result: Degraded, Reason: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Fail is the outcome of a phase that did not do what it should.
func Fail(remedy, format string, args ...any) Outcome {
	return Outcome{Result: Failed, Reason: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Skip is the outcome of a phase that could not or need not run.
func Skip(format string, args ...any) Outcome {
	return Outcome{Result: Skipped, Reason: fmt.Sprintf(format, args...)}
}

// oneLine is the outcome as it is shown: errors may have several lines.
func (o Outcome) oneLine() Outcome {
	o.Reason = strings.ReplaceAll(strings.TrimSpace(o.Reason), "\n", "; ")
	return o
}

// Status is one phase as it stands.
type Status struct {
	Name string
	Outcome
	Started time.Duration // since the kernel started
	Took    time.Duration // until its end, or until now
}

// String is the phase's line on the console.
func (s Status) String() string {
	line := fmt.Sprintf("[%8.3f] %-13s %-8s %6d ms", (s.Started + s.Took).Seconds(), s.Name, s.Result, s.Took.Milliseconds())
	if s.Reason != "" {
		line += "  " + s.Reason
	}
	if s.Remedy != "" {
		line += "; to do: " + s.Remedy
	}
	return line
}
