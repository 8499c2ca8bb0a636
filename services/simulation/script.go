package simulation

import (
	"fmt"
	"net/netip"
	"time"
)

// Fault is what happens to some frames of one connection: those of one kind,
// counted from 1 in the order in which they are sent on any bus that the
// script watches.
type Fault struct {
	Kind        string // as Classify names it
	First, Last int    // which ones, inclusive
	Double      bool   // send a second one; otherwise lose it
	Later       time.Duration
}

func (f Fault) String() string {
	what := "lost"
	if f.Double {
		what = fmt.Sprintf("doubled after %v", f.Later)
	}
	return fmt.Sprintf("%s %d to %d %s", f.Kind, f.First, f.Last, what)
}

// Script gives connections their faults, and counts what it sees of them.
type Script struct {
	isVIP  func(netip.Addr) bool
	faults map[Tuple][]Fault
	seen   map[Tuple]map[string]int
	struck map[Tuple]int
}

// NewScript makes a script without faults.
func NewScript(isVIP func(netip.Addr) bool) *Script {
	return &Script{isVIP: isVIP, faults: map[Tuple][]Fault{}, seen: map[Tuple]map[string]int{}, struck: map[Tuple]int{}}
}

// Set gives a connection its faults. Where several fit a frame, the first counts.
func (s *Script) Set(t Tuple, faults ...Fault) { s.faults[t] = faults }

// Struck is how often faults of a connection have happened.
func (s *Script) Struck(t Tuple) int { return s.struck[t] }

// Stage applies the script; it belongs at the way out of every component.
func (s *Script) Stage(k Packet, next func(Packet)) {
	kind, ok := Classify(k.Frame, s.isVIP)
	if !ok {
		next(k)
		return
	}
	seen := s.seen[kind.Tuple]
	if seen == nil {
		seen = map[string]int{}
		s.seen[kind.Tuple] = seen
	}
	seen[kind.Name]++
	n := seen[kind.Name]
	for _, f := range s.faults[kind.Tuple] {
		if f.Kind != kind.Name || n < f.First || n > f.Last {
			continue
		}
		s.struck[kind.Tuple]++
		if f.Double {
			next(k)
			k.Delay += f.Later
			next(k)
		}
		return
	}
	next(k)
}
