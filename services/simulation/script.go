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

// Script gives connections one fault each, and counts what it sees of them.
type Script struct {
	isVIP  func(netip.Addr) bool
	faults map[Tuple]Fault
	seen   map[Tuple]map[string]int
	struck map[Tuple]int
}

// NewScript makes a script without faults.
func NewScript(isVIP func(netip.Addr) bool) *Script {
	return &Script{isVIP: isVIP, faults: map[Tuple]Fault{}, seen: map[Tuple]map[string]int{}, struck: map[Tuple]int{}}
}

// Set gives a connection its fault.
func (s *Script) Set(t Tuple, f Fault) { s.faults[t] = f }

// Struck is how often the fault of a connection has happened.
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
	f, has := s.faults[kind.Tuple]
	if !has || f.Kind != kind.Name || n < f.First || n > f.Last {
		next(k)
		return
	}
	s.struck[kind.Tuple]++
	if f.Double {
		next(k)
		k.Delay += f.Later
		next(k)
	}
}
